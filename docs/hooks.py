"""The parts of the site that nobody writes by hand: reference pages, links from names to them, and MathJax."""

import importlib.util
import re
from itertools import groupby
from pathlib import Path

from mkdocs.structure.files import File

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "rnnjax"
FOUND_FIRST = 4
"""Weight in the search of a page written by hand; that of a docstring is 1."""

MATHJAX = "static/mathjax/es5/tex-svg-full.js"
"""All of MathJax in one file, which draws glyphs as paths and so needs no fonts."""


OUTSIDE = {
    **{f"{name.upper()}.md": f"{name}.md" for name in ("bibliography", "changelog", "contributing")},
    **{str(path.relative_to(ROOT)): f"images/{path.name}" for path in (ROOT / "benchmarks" / "results").glob("*.png")},
}
"""Files of the repository that are pages and figures of the site too, by their path in both."""


def on_config(config):
    """Puts the museum and the reference behind the pages written by hand: a page for each exhibit, a section a room."""
    config.nav.append({"Museum": museum()})
    rooms = groupby(modules(), key=lambda path: path.relative_to(PACKAGE).parts[0])
    config.nav.append({"Reference": [section(room, list(paths)) for room, paths in rooms]})
    return config


def museum():
    """The pages of the museum, the list first."""
    pages = sorted((ROOT / "docs" / "museum").glob("*.md"), key=lambda path: (path.stem != "index", path.stem))
    return [f"museum/{path.name}" for path in pages]


def section(room, paths):
    """The navigation of a room: its own page, then its modules. A room of one file is a page, and so is the package."""
    first, *rest = paths
    if first.parent == PACKAGE:
        return address(first) if room == "__init__.py" else {first.stem: address(first)}
    return {room: [address(first), *({name(path).removeprefix(f"rnnjax.{room}."): address(path)} for path in rest)]}


def modules():
    """The files of all modules, a package before what is in it; doors' `__main__` have their --help."""
    return sorted(path for path in PACKAGE.rglob("*.py") if path.name != "__main__.py")


def name(path):
    """The name by which a module is imported."""
    return ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")


def address(path):
    """The page of a module; that of a package is the index of its section."""
    return "api/" + name(path).replace(".", "/") + ("/index.md" if path.name == "__init__.py" else ".md")


def on_files(files, config):
    """Adds a page for each module, the files from outside, and MathJax."""
    for path in modules():
        files.append(File.generated(config, address(path), content=f"::: {name(path)}\n"))
    for path, place in {**OUTSIDE, find_mathjax(): "javascripts/tex-svg-full.js"}.items():
        files.append(File.generated(config, place, abs_src_path=str(ROOT / path)))
    return files


def find_mathjax():
    """The file as the package django-static-mathjax brings it, which is MathJax's own release, and no Django."""
    return Path(importlib.util.find_spec("mathjax").submodule_search_locations[0]) / MATHJAX


def on_page_markdown(markdown, page, config, files):
    """Turns names of this package into links: `gradients.manual.backward` leads to its docstring. Links to files from
    outside, and from there, right in the repository, are made right in the site."""
    if not page.file.src_uri.startswith("api/"):
        page.meta.setdefault("search", {"boost": FOUND_FIRST})
    markdown = markdown.replace("](docs/", "](")
    for path, place in OUTSIDE.items():
        markdown = markdown.replace(f"](../{path}", f"]({place}")
    fences = re.split(r"(^ *```.*?^ *```$)", markdown, flags=re.M | re.S)
    return "".join(part if part.lstrip().startswith("```") else link_names(part) for part in fences)


def link_names(text):
    """Links each name in backticks that is not a link yet."""
    return re.sub(r"(?<![\[`])`(?:rnnjax\.)?([a-z_]+(?:\.\w+)+)`(?!`)", link_name, text)


def link_name(match):
    room = match[1].split(".")[0]
    is_ours = (PACKAGE / room).is_dir() or (PACKAGE / f"{room}.py").is_file()
    return f"[{match[0]}][rnnjax.{match[1]}]" if is_ours and not (is_file(match[1]) or is_field(match[1])) else match[0]


def is_file(name):
    return name.endswith((".py", ".ipynb", ".yaml", ".md", ".json"))


def is_field(name):
    """True for a field of the config, such as run.devices."""
    group, _, field = name.partition(".")
    schema = PACKAGE / "config" / f"{group}.py"
    return schema.is_file() and re.search(rf"^    {field}: ", schema.read_text(encoding="utf-8"), re.M) is not None
