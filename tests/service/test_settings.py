from pathlib import Path

import pytest

from service.settings import Settings, SettingsError, read_settings


@pytest.fixture(autouse=True)
def nothing_set(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MUSIC_ORIGIN_DATA", raising=False)


def set_to(monkeypatch: pytest.MonkeyPatch, **values: object) -> None:
    for name, value in values.items():
        monkeypatch.setenv(f"MUSIC_ORIGIN_{name}", str(value))


def test_keys_come_from_variable_and_file(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    file = tmp_path / "keys"
    file.write_text("third\nfourth\n")
    set_to(monkeypatch, API_KEY="first, second", API_KEY_FILE=file)
    keys = [key.get_secret_value() for key in read_settings().keys]
    assert keys == ["first", "second", "third", "fourth"]
    assert "first" not in repr(read_settings())


def test_keys_may_come_from_the_file_alone(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    file = tmp_path / "keys"
    file.write_text("only")
    set_to(monkeypatch, API_KEY_FILE=file)
    assert [key.get_secret_value() for key in read_settings().keys] == ["only"]


def test_origins_are_listed(monkeypatch: pytest.MonkeyPatch) -> None:
    set_to(monkeypatch, CORS_ORIGINS="https://a.example, https://b.example")
    assert read_settings().cors_origins == ("https://a.example", "https://b.example")
    assert Settings().keys == ()


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("MAX_BATCH", "0", "greater than 0"),
        ("MAX_BODY_BYTES", "many", "valid integer"),
        ("MAX_CONCURRENCY", "-1", "greater than 0"),
        ("REQUEST_TIMEOUT", "inf", "finite"),
        ("DRAIN_SECONDS", "-1", "greater than or equal to 0"),
        ("API_KEY", "", "holds no key"),
        ("API_KEY", " , ", "holds no key"),
        ("API_KEY", "sch\u00fcssel", "visible ASCII"),
        ("API_KEY", "two words", "visible ASCII"),
        ("API_KEY_FILE", "/nowhere/keys", "cannot be read"),
        ("API_KEY_FILE", "", "cannot be read"),
        ("CORS_ORIGINS", "https://a.example/", "without a slash"),
        ("CORS_ORIGINS", "a.example", "an origin is like"),
        ("LOG_LEVEL", "loud", "'debug', 'info', 'warning' or 'error'"),
        ("ACCESS_LOG", "perhaps", "valid boolean"),
    ],
)
def test_wrong_value_is_one_sentence_that_names_the_variable(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str, message: str
) -> None:
    set_to(monkeypatch, **{name: value})
    with pytest.raises(SettingsError, match=rf"^MUSIC_ORIGIN_{name}: .*{message}") as raised:
        read_settings()
    assert "\n" not in str(raised.value)
    assert "schl" not in str(raised.value)


def test_telemetry_needs_its_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    set_to(monkeypatch, TELEMETRY="true")
    assert read_settings().telemetry
    monkeypatch.setattr("service.settings.find_spec", lambda _: None)
    with pytest.raises(SettingsError, match=r"MUSIC_ORIGIN_TELEMETRY: .*`telemetry`, which `make extras` adds"):
        read_settings()


def test_wrong_key_file_is_refused(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    file = tmp_path / "keys"
    for content in ("\n", "two words\n", "# a comment\nkey", "one,two", "schl\u00fcssel"):
        file.write_text(content)
        set_to(monkeypatch, API_KEY_FILE=file)
        with pytest.raises(SettingsError, match=r"^MUSIC_ORIGIN_API_KEY_FILE: ") as raised:
            read_settings()
        assert "words" not in str(raised.value)


def test_wrong_keys_beside_a_file_are_named_by_their_own_variable(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    file = tmp_path / "keys"
    file.write_text("good")
    for wrong in ("", "two words"):
        set_to(monkeypatch, API_KEY=wrong, API_KEY_FILE=file)
        with pytest.raises(SettingsError, match=r"^MUSIC_ORIGIN_API_KEY: "):
            read_settings()


def test_slip_in_a_name_is_refused_and_names_of_others_are_not(monkeypatch: pytest.MonkeyPatch) -> None:
    for other in ("DATA", "PORT", "SERVICE_HOST", "PORT_8000_TCP"):
        monkeypatch.setenv(f"MUSIC_ORIGIN_{other}", "x")
    read_settings()
    monkeypatch.setenv("MUSIC_ORIGIN_API_KYE", "secret")
    with pytest.raises(SettingsError, match=r"^MUSIC_ORIGIN_API_KYE: .* MUSIC_ORIGIN_API_KEY$"):
        read_settings()


def test_level_may_be_in_capitals(monkeypatch: pytest.MonkeyPatch) -> None:
    set_to(monkeypatch, LOG_LEVEL="INFO")
    assert read_settings().log_level == "info"
