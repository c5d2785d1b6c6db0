"""The machine that everything is measured on."""

import os
import platform
from pathlib import Path


def described() -> str:
    """Its processor, memory and system (Linux)."""
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    model = next((line.partition(": ")[2] for line in lines if line.startswith("model name")), platform.machine())
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1e9
    return f"{model}, {os.cpu_count()} CPUs, {memory:.0f} GB, {platform.system()} {platform.release()},"
