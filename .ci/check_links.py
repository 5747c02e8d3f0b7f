"""Whether every link inside the built documentation leads somewhere.

    python .ci/check_links.py FOLDER

mkdocs looks at links of Markdown only; this looks at all of the site's pages: HTML, pictures, anchors. Links
to other sites are only counted.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path
from urllib.parse import unquote

LINK, ID = re.compile(r'(?:href|src)="([^"]+)"'), re.compile(r'\bid="([^"]+)"')


def main(site: Path) -> None:
    texts = {page.resolve(): page.read_text(encoding="utf-8") for page in site.rglob("*.html")}
    anchors = {page: set(ID.findall(text)) for page, text in texts.items()}
    broken, inside, outside = [], 0, 0
    for page, text in texts.items():
        for link in LINK.findall(text):
            if re.match(r"[a-z]+:|//", link):
                outside += not link.startswith("data:")
                continue
            inside += 1
            file, _, anchor = link.partition("#")
            # pages of one folder; those that begin at the root are of the address where the site is served
            target = (page.parent / unquote(file)).resolve() if file else page
            if link.startswith("/") or (target.exists() and not anchor):
                continue
            if unquote(anchor) not in anchors.get(target, ()):
                broken.append(f"{page.relative_to(site.resolve())}: {link}")
    print(f"{len(texts)} pages, {inside} links inside the site, {outside} to others")
    if broken:
        raise SystemExit("broken links:\n" + "\n".join(broken))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
