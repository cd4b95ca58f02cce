# A small image for processors that serves one bundle: no PyTorch.
#   docker build -t affinage-serve .
#   docker run --rm -p 8000:8000 -e AFFINAGE_TOKEN=secret -v "$PWD/mushrooms.bundle:/bundle:ro" -v served:/log affinage-serve
FROM python:3.12-slim

COPY constraints.txt pyproject.toml README.md LICENSE NOTICE /src/
COPY src /src/src
# What the package asks for in general is for training; a server is asked for what it imports.
RUN pip install --no-cache-dir --no-deps /src \
 && pip install --no-cache-dir -c /src/constraints.txt \
      fastapi uvicorn python-multipart prometheus-client onnxruntime \
      numpy scipy pillow opencv-python-headless simplejpeg pydantic typer rich jinja2 pyyaml aiohttp yarl \
 && rm -rf /src && useradd --system --home-dir /log affinage && mkdir -p /log && chown affinage /log

USER affinage
VOLUME /log
EXPOSE 8000
HEALTHCHECK --interval=30s --timeout=3s CMD ["python", "-c", "import urllib.request as u; u.urlopen('http://127.0.0.1:8000/ready', timeout=2)"]
# In exec form, so that `docker stop` reaches the server, which then answers what it accepted.
ENTRYPOINT ["affinage", "serve", "/bundle", "--host", "0.0.0.0", "--log", "/log"]
