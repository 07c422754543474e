# One image for every process of the application; `s3` is the small S3 of docker-compose.yml and nothing for production.

FROM python:3.12-slim AS base
ENV PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1 PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1
RUN groupadd --gid 10001 dailies \
 && useradd --uid 10001 --gid 10001 --no-create-home --home-dir /tmp dailies \
 && install --directory --owner 10001 --group 10001 /data
WORKDIR /app

FROM base AS s3
COPY requirements/s3.txt requirements/
RUN pip install --require-hashes -r requirements/s3.txt
USER 10001:10001

FROM base AS application
COPY requirements/base.txt requirements/
RUN pip install --require-hashes -r requirements/base.txt
COPY . .
ENV PATH=/app/bin:$PATH PYTHONPATH=/app
USER 10001:10001
CMD ["dailies", "--help"]
