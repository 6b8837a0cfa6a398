# syntax=docker/dockerfile:1
# Two stages: wheels are built where compilers may be, the image that runs holds only what runs.
FROM python:3.13-slim AS build
WORKDIR /src
COPY pyproject.toml README.md LICENSE ./
COPY mediapipe ./mediapipe
COPY profiles ./profiles
RUN python -m venv /opt/mediapipe \
 && /opt/mediapipe/bin/pip install --no-cache-dir '.[postgres]'

FROM python:3.13-slim
LABEL org.opencontainers.image.title="convirza-mediapipe" \
      org.opencontainers.image.description="Bulk media and recording pipeline for Convirza" \
      org.opencontainers.image.licenses="Apache-2.0"
# A fixed number: Kubernetes' runAsNonRoot and volume ownership go by number, not by name.
RUN useradd --uid 10001 --create-home --shell /usr/sbin/nologin mediapipe \
 && install -d -o mediapipe -g mediapipe -m 0700 /state
COPY --from=build /opt/mediapipe /opt/mediapipe
ENV PATH=/opt/mediapipe/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    MEDIAPIPE_STATE_DIR=/state \
    MEDIAPIPE_LOG_FORMAT=json
USER 10001
# Ledger, token cache and reports: lose it and the next run has to look everything up again.
VOLUME ["/state"]
WORKDIR /state
# SIGTERM drains; a killed run resumes with the next one.
STOPSIGNAL SIGTERM
ENTRYPOINT ["mediapipe"]
CMD ["--help"]
