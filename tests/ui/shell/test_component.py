"""Scripts that components share are loaded once a page, and are what the modules say."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from itertools import chain

import pytest

from mmreason.ui.browser.files import PAGE
from mmreason.ui.host.serving import launch_options
from mmreason.ui.host.settings import read_settings
from mmreason.ui.page import build_page
from mmreason.ui.shell.component import MODULES, OWN_MODULES, read, script, shared_script
from mmreason.ui.twin import INSTEAD, OPENED
from tests.helpers.browser import ROOT

COMPONENTS = ROOT / "mmreason" / "ui" / "components"
# Runs the shared script twice without a page, as gradio does when the server was restarted; tells what it defines.
TELLS = """
const context = vm.createContext({});
const source = require('fs').readFileSync(0, 'utf8');
const told = [1, 2].map(() => { vm.runInContext(source, context); return Object.keys(context.mm); });
console.log(JSON.stringify(told));
"""


def exported(module: str) -> list[str]:
    return re.findall(r"^export (?:async )?\w+ (\w+)", read(f"{module}.js"), re.MULTILINE)


def imports(module: str) -> list[str]:
    """The modules that ``module`` imports."""
    paths = re.findall(r"^import \{[^}]*\} from '([^']+)';$", read(f"{module}.js"), re.MULTILINE)
    found = ((COMPONENTS / module).parent.joinpath(path).resolve().relative_to(COMPONENTS) for path in paths)
    return [path.with_suffix("").as_posix() for path in found]


def test_every_module_is_loaded_after_those_that_it_imports():
    shared = {path.relative_to(COMPONENTS).with_suffix("").as_posix() for path in COMPONENTS.glob("*/**/*.js")}
    of_the_twin = ("twin/", "opened/", "browser/")
    of_the_page = {name for name in shared if not name.startswith(of_the_twin)}
    own = [module for modules in OWN_MODULES.values() for module in modules]
    modules = (*MODULES, *own)
    assert set(modules) == {name for name in of_the_page if len(set(name.split("/"))) > 1}  # not a component's own
    for i, module in enumerate(modules):
        for imported in imports(module):
            assert imported in modules[:i], (module, imported)


def test_what_reads_a_visitors_file_without_a_server_is_loaded_in_order_and_takes_no_others_name():
    assert set(OPENED) == {path.stem for path in (COMPONENTS / "opened").glob("*.js")}
    shared = chain.from_iterable(INSTEAD.get(module, (module,)) for module in MODULES)
    modules = ["twin/loading", *shared, "twin/opening", *PAGE, "twin/solving"]
    for i, module in enumerate(modules):
        for imported in imports(module):
            *_, stands_in = INSTEAD.get(imported, (imported,))
            assert stands_in in modules[:i], (module, imported)
    names = [name for module in modules for name in exported(module)]
    assert len(set(names)) == len(names)


@pytest.mark.skipif(shutil.which("node") is None, reason="there is no node here")
def test_the_shared_script_defines_what_the_modules_export_and_may_run_again():
    names = [name for module in MODULES for name in exported(module)]
    assert len(set(names)) == len(names)
    done = subprocess.run(["node", "-e", TELLS], input=shared_script(), capture_output=True, text=True, check=True)
    assert json.loads(done.stdout) == [names, names]


def test_a_page_holds_each_shared_function_once():
    page = build_page()
    own = [block.js_on_load or "" for block in page.blocks.values() if hasattr(block, "js_on_load")]
    whole = launch_options(read_settings())["head"] + "".join(own)
    for name in ("node", "putWords", "drawCanvas", "timelineOf", "drawPlayer", "drawDetail"):
        assert whole.count(f"function {name}(") == 1


@pytest.mark.parametrize("name", [*MODULES, "player/player", "race/race"])
def test_only_whole_lines_of_comment_stay_behind(name):
    kept, whole = script(name).splitlines(), read(f"{name}.js").splitlines()
    assert not [line for line in kept if line.lstrip().startswith(("//", "/**\n", "* "))]
    code = [line for line in whole if not re.match(r" *(//|\*|/\*\*(.*\*/)?$)", line)]
    assert [line for line in kept if line] == [line for line in code if line]
