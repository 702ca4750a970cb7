"""What the README tells a producer and a client to type works as it stands there."""

import asyncio
import json
import os
import re
import subprocess
import sys
from pathlib import Path

from tests.support.node import Node
from tests.support.producers import premium
from tests.support.stack import Stack

ROOT = Path(__file__).resolve().parents[2]
README = (ROOT / "README.md").read_text()
NODE_PACKAGES = Path(__file__).parent / "node" / "node_modules"


def example(language: str, containing: str) -> str:
    """The README's block of code in this language that contains this text."""
    blocks = [block for kind, block in re.findall(r"```(\w+)\n(.*?)```", README, re.DOTALL) if kind == language]
    (found,) = [block for block in blocks if containing in block]
    return str(found)


def located(code: str, stack: Stack) -> str:
    """The same code on this stack's ports."""
    return code.replace("http://127.0.0.1:8001", stack.ingest.url).replace(
        "ws://127.0.0.1:8000", stack.gateway.url.replace("http", "ws", 1)
    )


async def test_the_python_producer_and_the_python_client(stack: Stack, tmp_path: Path) -> None:
    await stack.set_tier("reader", "pro")
    client_code = located(example("python", "websockets.connect"), stack)
    environment = os.environ | {"TOKEN": stack.token("reader"), "AMQP_URL": stack.amqp_url, "PYTHONUNBUFFERED": "1"}
    client = await asyncio.create_subprocess_exec(
        sys.executable, "-c", client_code, env=environment, stdout=asyncio.subprocess.PIPE
    )
    assert client.stdout is not None
    try:
        async with asyncio.timeout(20):
            assert b"connected" in await client.stdout.readline()
            producer = example("python", "import hashlib, json, os, pika")
            await asyncio.to_thread(subprocess.run, [sys.executable, "-c", producer], env=environment, check=True)
            line = await client.stdout.readline()
            assert b"new_signal" in line
            assert b"AAPL" in line
    finally:
        client.kill()
        await client.wait()


async def test_the_node_producer(stack: Stack, node: Node, tmp_path: Path) -> None:
    await stack.set_tier("node-reader", "pro")
    signal = premium()
    script = tmp_path / "producer.mjs"
    code = example("js", "createConfirmChannel")
    arguments = "const body = process.argv[2];\nprocess.env.AMQP_URL = process.argv[3];"
    script.write_text(f'import amqp from "amqplib";\n{arguments}\n{code}\nawait connection.close();\n')
    (tmp_path / "node_modules").symlink_to(NODE_PACKAGES)
    async with stack.client("node-reader") as client:
        await client.first("connected")
        node.run(script, json.dumps(signal), stack.amqp_url)
        await client.signals_received(1)
        assert client.data[0]["hash"] == signal["sha256"]


def test_the_curl_producer(stack: Stack, tmp_path: Path) -> None:
    (tmp_path / "signal.json").write_text(json.dumps(premium()))
    command = located(example("sh", "curl -i"), stack)
    done = subprocess.run(
        ["bash", "-c", command],
        cwd=tmp_path,
        env=os.environ | {"KEY": stack.api_key},
        capture_output=True,
        text=True,
        check=True,
    )
    assert "201 Created" in done.stdout


async def test_the_signals_of_the_compose_files_demo(stack: Stack) -> None:
    environment = {
        "INGEST_API_KEYS": stack.ingest.environment["INGEST_API_KEYS"],
        "INGEST_PORT": str(stack.ingest.port),
    }
    command = [sys.executable, str(ROOT / "deploy" / "compose" / "demo.py"), "20", "100"]
    async with stack.client("watcher-of-demo") as client:
        await client.first("connected")
        done = await asyncio.to_thread(
            subprocess.run, command, env=environment, capture_output=True, text=True, check=False
        )
        assert done.stdout == "20 signals accepted\n", done.stdout + done.stderr
        await client.until(lambda _: client.signals)  # a starter sees those that are not premium
