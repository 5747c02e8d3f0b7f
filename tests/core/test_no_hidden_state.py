"""Nothing is remembered behind the reader's back: no weak dictionaries, no memories of modules in core."""

import re
from pathlib import Path

import napari_tem_fft.core

SOURCES = sorted(Path(napari_tem_fft.core.__file__).parent.rglob("*.py"))
MEMORY = re.compile(
    r"^_?[a-z]\w*(?:: [^=]+)? = (?:\{\}|\[\]|dict\(|OrderedDict|defaultdict|set\(|Weak)", re.MULTILINE
)


def test_no_module_of_core_remembers_what_it_was_given():
    text = {path.name: path.read_text(encoding="utf-8") for path in SOURCES}
    assert [name for name, source in text.items() if "weakref" in source or MEMORY.search(source)] == []


def test_the_rule_would_notice_one():
    assert MEMORY.search("_known: WeakKeyDictionary[A, B] = WeakKeyDictionary()")
    assert MEMORY.search("_memory: OrderedDict[str, int] = OrderedDict()") and MEMORY.search("cache = {}")
    assert not MEMORY.search("    here = {}") and not MEMORY.search("_EMPTY: dict[str, int] = {'a': 1}")
