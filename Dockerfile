ARG PYTHON_IMAGE=python:3.13-slim

FROM ${PYTHON_IMAGE} AS dependencies
ARG REQUIREMENTS=serve
COPY requirements/${REQUIREMENTS}.txt /tmp/requirements.txt
RUN python -m venv --without-pip /venv \
    && pip --python /venv/bin/python install --no-cache-dir --only-binary :all: --require-hashes --requirement /tmp/requirements.txt \
    && rm /venv/lib/python3.*/site-packages/simdjson/*.cpp /venv/lib/python3.*/site-packages/simdjson/simdjson.h \
    && find /venv -type d -name tests -prune -exec rm -r {} + \
    && find /venv/bin -type f -delete

FROM ${PYTHON_IMAGE}
COPY --from=dependencies /venv /venv
ENV PATH=/venv/bin:$PATH OPENBLAS_NUM_THREADS=1
WORKDIR /app
COPY --chmod=755 models/ models/
COPY --chmod=755 service/ service/
RUN python -m compileall -q models service
USER 10001:10001
EXPOSE 8000
HEALTHCHECK --interval=10s --timeout=3s --start-period=5s \
    CMD ["python", "-c", "from urllib.request import urlopen; urlopen('http://127.0.0.1:8000/health/ready', timeout=2)"]
CMD ["python", "-m", "service", "--host", "0.0.0.0", "--port", "8000"]
