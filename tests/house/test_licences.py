"""What is installed may be used by a program under the MIT licence; what is not plainly so is listed and described."""

import re
from importlib.metadata import Distribution, distributions

from tests.house import source

FREE = {
    "0bsd", "apache-2.0", "bsd", "bsd-2-clause", "bsd-3-clause", "cc0-1.0", "isc", "mit", "mit-0", "psf-2.0",
    "unlicense", "zlib",
}  # fmt: skip

# What a distribution says of itself in words instead of an SPDX expression.
WORDS = {
    "apache 2.0": "apache-2.0",
    "apache license 2.0": "apache-2.0",
    "apache license, version 2.0": "apache-2.0",
    "apache software license": "apache-2.0",
    "bsd 2-clause license": "bsd-2-clause",
    "bsd license": "bsd",
    "dfsg approved": "mit",
    "isc license": "isc",
    "isc license (iscl)": "isc",
    "mit license": "mit",
    "mit-cmu": "mit",
    "3-clause bsd license": "bsd-3-clause",
    "psfl": "psf-2.0",
    "the bsd 2-clause license": "bsd-2-clause",
    "python software foundation license": "psf-2.0",
}

# Known, and described in docs/explanation/licences.md: name → why it may be used.
KNOWN = {
    "av": "BSD, but its wheel carries FFmpeg (LGPL 3) with x264 and x265 (GPL 2 or later) as shared libraries",
    "espeakng-loader": "no licence in its metadata (MIT in its source); its wheel carries espeak-ng (GPL 3)",
    "pyvips-binary": "LGPL 3: libvips and what it is made of, as a shared library that can be replaced",
    "pypdfium2": "BSD or Apache 2.0; its wheel carries PDFium (BSD) and what that is made of, under terms like these",
    "sqlite-vec": "MIT or Apache 2.0, as one likes, in words of its own",
    "tld": "MPL 1.1, GPL 2 or LGPL 2.1, as one likes; a part of trafilatura, unchanged",
    "tqdm": "MPL 2.0 and MIT; a part of spaCy (`mediary[refine]`)",
    "hypothesis": "MPL 2.0; for tests only",
    "pathspec": "MPL 2.0; for checks only",
    "certifi": "MPL 2.0; for tests only",
    "python-dateutil": "BSD or Apache 2.0, as one likes, in words of its own; for tests only",
    "mistralai": "Apache 2.0 by its licence file, nothing in its metadata; for tests only",
    "tiktoken": "MIT, whole instead of by name; a part of dashscope, for tests only",
    "regex": "Apache 2.0 and CNRI's Python licence; for tests only",
}


def licences(distribution: Distribution) -> set[str]:
    """The licences a distribution names, its expression first; an `OR` leaves the choice to us."""
    metadata = distribution.metadata
    stated = metadata.get("License-Expression") or metadata.get("License") or ""
    if not stated or len(stated) > 60:
        classifiers = metadata.get_all("Classifier") or []
        stated = " AND ".join(line.split(" :: ")[-1] for line in classifiers if line.startswith("License ::"))
    terms = [term.strip(" ()").lower() for term in re.split(r"\s+AND\s+|\s+and\s+", stated) if term.strip()]
    return {
        next((w for choice in re.split(r"\s+or\s+", term) if (w := WORDS.get(choice, choice)) in FREE), term)
        for term in terms
    }


installed = {
    d.metadata["Name"].lower(): d for d in distributions() if d.metadata["Name"].lower() not in ("mediary", "pip", "uv")
}


def test_each_licence_allows_use():
    unclear = {name: licences(distribution) for name, distribution in installed.items() if name not in KNOWN}
    assert not {name: found for name, found in unclear.items() if not found or not found <= FREE}


def test_what_is_known_is_described():
    text = (source.ROOT / "docs" / "explanation" / "licences.md").read_text()
    assert not [name for name in KNOWN if f"`{name}`" not in text]
