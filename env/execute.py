"""Runs notebooks from top to bottom, as a reader would, and fails where they fail.

What the cells print is shown while they print it. Each notebook is written with
its outputs, and as an HTML page that loads nothing from anywhere.
"""

import argparse
import asyncio
import os
import re
import signal
import sys
import time
from pathlib import Path

import nbformat
from latex2mathml.converter import convert as mathml
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError, CellTimeoutError, DeadKernelError
from nbconvert.exporters import HTMLExporter
from nbconvert.filters.markdown_mistune import IPythonRenderer
from nbformat.sign import NotebookNotary

ENV = Path(__file__).parent
FAILED = ENV.parent / ".lab" / "out" / "failed"
QUIET = 20  # seconds without output after which a running cell is said to be running
GRACE = 10  # seconds an interrupted cell has to save its work; GoNB itself gives it 5

# A shell line that fails leaves a GoNB cell successful; so does a misspelt magic.
# GoNB writes each of these as a message of its own.
BROKEN = re.compile(r'(exit status [1-9]\d*|signal: [\w ]+)\n|"%.*" unknown or not implemented yet\.')

# Places in a page from where a browser would load something.
LOADS = re.compile(
    r"""(?:<(?:script|img|iframe|source|video|audio|embed)\b[^>]*?\bsrc\s*=\s*|<link\b[^>]*?\bhref\s*=\s*|@import\s+(?:url\()?|\burl\(|\bimport\()\s*["']?((?:https?:)?//[^"'\s)>]+)""",
    re.IGNORECASE,
)


class Interrupted(Exception):
    pass


class Client(NotebookClient):
    """A notebook client that shows what happens."""

    def __init__(self, notebook, **options):
        super().__init__(
            notebook,
            kernel_name=notebook.metadata.kernelspec.name,
            coalesce_streams=True,
            record_timing=False,
            **options,
        )
        self.total = sum(1 for c in notebook.cells if is_code(c))
        self.number = 0
        self.heading = ""
        self.broken = None
        self.last = time.monotonic()
        self.fresh = True  # the terminal is at the start of a line
        self.stopping = None
        self.group = None

    def say(self, text):
        sys.stdout.write(text)
        sys.stdout.flush()
        self.last = time.monotonic()
        self.fresh = text.endswith(("\n", "\r"))

    def line(self, text):
        self.say(("" if self.fresh else "\n") + text + "\n")

    def process_message(self, msg, cell, cell_index):
        if msg["msg_type"] == "stream":
            text = msg["content"]["text"]
            self.say(text)
            if msg["content"]["name"] == "stderr" and BROKEN.fullmatch(text):
                self.broken = text.strip()
        return super().process_message(msg, cell, cell_index)

    async def async_execute_cell(self, cell, cell_index, **options):
        if cell.cell_type == "markdown":
            headings = re.findall(r"^#+ +(.*)$", cell.source, re.MULTILINE)
            self.heading = headings[-1] if headings else self.heading
        if not is_code(cell):
            return await super().async_execute_cell(cell, cell_index, **options)

        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, self.stop)
        self.number += 1
        self.group = self.km.provisioner.pgid
        self.broken = None
        self.line(f"cell {self.number}/{self.total}  {self.heading}")
        start = self.last
        ticker = asyncio.ensure_future(self.tick(start))
        try:
            await super().async_execute_cell(cell, cell_index, **options)
        except (CellExecutionError, DeadKernelError):
            if self.stopping:
                raise Interrupted from None
            raise
        finally:
            ticker.cancel()
        if self.stopping:
            raise Interrupted
        if self.broken:
            raise CellExecutionError(self.broken, "ERROR", self.broken)
        self.line(f"  {time.monotonic() - start:.1f} s")
        # Progress has been seen, and is no result. Of the rest GoNB leaves the order to chance.
        cell.outputs = [o for o in cell.outputs if o.get("name") != "stderr"]
        cell.outputs.sort(key=lambda o: o.output_type != "stream")
        return cell

    async def tick(self, start):
        while True:
            await asyncio.sleep(5)
            if time.monotonic() - self.last >= QUIET:
                self.line(f"  ... {time.monotonic() - start:.0f} s")

    def stop(self):
        """Interrupts the running cell, which may save its work; the second time, kills it."""
        if self.stopping:
            self.stopping.cancel()
            self.stopping = asyncio.ensure_future(self.kill(0))
        else:
            self.stopping = asyncio.ensure_future(self.kill(GRACE))

    async def kill(self, grace):
        if grace:
            await self.km.interrupt_kernel()
            await asyncio.sleep(grace)
        self.kill_group()

    def kill_group(self):
        """Ends the kernel and what it has started: a cell outlives its kernel."""
        try:
            os.killpg(self.group, signal.SIGKILL)
        except (ProcessLookupError, TypeError):
            pass  # all gone, or never started


def is_code(cell):
    return cell.cell_type == "code" and bool(cell.source.strip())


def run(source, timeout):
    """Returns the executed notebook and what went wrong: an error or None."""
    notebook = nbformat.read(source, as_version=4)
    client = Client(notebook, timeout=timeout, resources={"metadata": {"path": str(source.parent)}})
    try:
        asyncio.run(client.async_execute())
    except (CellExecutionError, CellTimeoutError, DeadKernelError, Interrupted) as problem:
        client.line(f"  failed in cell {client.number}/{client.total}")
        return notebook, problem
    finally:
        client.kill_group()
    return notebook, None


def results(notebook):
    """Yields the text of the outputs of cells tagged "result"."""
    for cell in notebook.cells:
        if "result" not in cell.metadata.get("tags", []):
            continue
        for output in cell.get("outputs", []):
            data = output.get("data", {})
            text = output.get("text") or data.get("text/markdown") or data.get("text/plain")
            if text:
                yield text.strip("\n")


def page(notebook, name):
    """The notebook as one HTML document."""
    IPythonRenderer.inline_math = lambda self, body: mathml(body)
    IPythonRenderer.block_math = lambda self, body: mathml(body, display="block")
    exporter = HTMLExporter(template_file=str(ENV / "page.html.j2"), embed_images=True)
    html, _ = exporter.from_notebook_node(notebook, {"metadata": {"name": name}})
    loads = LOADS.findall(html)
    if loads:
        raise SystemExit(f"{name}: the page would load {', '.join(sorted(set(loads)))}")
    return html


def write(path, text):
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(path.name + ".part")
    part.write_text(text, encoding="utf-8")
    part.replace(path)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("notebook", nargs="+", type=Path)
    parser.add_argument("--out", type=Path, help="folder for the executed notebook and its page; without it the notebook is rewritten in place")
    parser.add_argument("--timeout", type=int, default=int(os.environ.get("SSLKIT_CELL_TIMEOUT", 1800)), help="seconds a cell may take")
    options = parser.parse_args()
    os.environ["SSLKIT_HEADLESS"] = "1"  # to the kernel and its cells: nobody is looking

    for source in options.notebook:
        start = time.monotonic()
        print(f"{source}", flush=True)
        notebook, problem = run(source, options.timeout)
        if problem:
            kept = FAILED / source.name
            write(kept, nbformat.writes(notebook))
            if isinstance(problem, Interrupted):
                print("interrupted; what was finished is remembered, so run it again to go on", file=sys.stderr)
                sys.exit(130)
            # What the cell printed has been seen; its error has not.
            errors = [o for c in notebook.cells for o in c.get("outputs", []) if o.output_type == "error"]
            for line in [line for o in errors for line in o.traceback] or [str(problem)]:
                print(line, file=sys.stderr)
            sys.exit(f"{source} failed; as far as it came: {kept}")
        html = page(notebook, source.stem)
        if options.out:
            write(options.out / source.name, nbformat.writes(notebook))
            write(options.out / (source.stem + ".html"), html)
        else:
            write(source, nbformat.writes(notebook))
            NotebookNotary().sign(notebook)  # what ran here is trusted here
        for text in results(notebook):
            print(f"\n{text}")
        where = options.out / (source.stem + ".html") if options.out else source
        print(f"\n{where} ({time.monotonic() - start:.0f} s)", flush=True)


if __name__ == "__main__":
    main()
