"""The types of text that only a name tells, and which extractor reads what."""

PLAIN_TEXT = "text/plain"
XML = "application/xml"
MARKDOWN = "text/markdown"
_OOXML = "application/vnd.openxmlformats-officedocument."
WORD = f"{_OOXML}wordprocessingml.document"
EXCEL = f"{_OOXML}spreadsheetml.sheet"
POWERPOINT = f"{_OOXML}presentationml.presentation"
EXCEL_BINARY = "application/vnd.ms-excel.sheet.binary.macroEnabled.12"

# Source code: the language as a Markdown fence names it, and its extensions.
_CODE = {
    "ada": "adb ads",
    "asm": "asm s",
    "awk": "awk",
    "bash": "sh bash zsh ksh",
    "batch": "bat cmd",
    "c": "c h",
    "c++": "cc cpp cxx hpp hh hxx ipp",
    "clojure": "clj cljs cljc edn",
    "cmake": "cmake",
    "coffeescript": "coffee",
    "crystal": "cr",
    "csharp": "cs",
    "css": "css",
    "d": "d",
    "dart": "dart",
    "diff": "diff patch",
    "dockerfile": "dockerfile",
    "elixir": "ex exs",
    "elm": "elm",
    "erlang": "erl hrl",
    "fish": "fish",
    "fortran": "f f90 f95 f03 for",
    "fsharp": "fs fsi fsx",
    "glsl": "glsl vert frag",
    "go": "go",
    "graphql": "graphql gql",
    "groovy": "groovy gradle",
    "haskell": "hs lhs",
    "hcl": "hcl tf tfvars",
    "ini": "ini cfg conf properties env editorconfig gitconfig desktop service",
    "java": "java",
    "javascript": "js mjs cjs",
    "jinja": "j2 jinja jinja2",
    "jsx": "jsx",
    "julia": "jl",
    "kotlin": "kt kts",
    "less": "less",
    "lisp": "lisp el cl",
    "lua": "lua",
    "makefile": "mk mak",
    "matlab": "m",
    "nim": "nim",
    "nix": "nix",
    "objectivec": "mm",
    "ocaml": "ml mli",
    "pascal": "pas pp",
    "perl": "pl pm",
    "php": "php phtml",
    "postscript": "ps eps",
    "powershell": "ps1 psm1 psd1",
    "proto": "proto",
    "python": "py pyi pyw pyx",
    "r": "r",
    "ruby": "rb rake gemspec",
    "rust": "rs",
    "sass": "sass",
    "scala": "scala sc sbt",
    "scheme": "scm rkt ss",
    "scss": "scss",
    "solidity": "sol",
    "sql": "sql",
    "svelte": "svelte",
    "swift": "swift",
    "tcl": "tcl",
    "tsx": "tsx",
    "typescript": "ts mts cts",
    "vb": "vb vbs bas",
    "verilog": "v sv",
    "vhdl": "vhd vhdl",
    "vim": "vim",
    "vue": "vue",
    "zig": "zig",
}

# Files that go by their whole name.
_NAMED = {
    "cmake": "cmakelists.txt",
    "dockerfile": "dockerfile containerfile",
    "makefile": "makefile gnumakefile",
    "ruby": "gemfile rakefile",
}

# What is text with marks of its own, by extension.
_MARKED = {
    MARKDOWN: "md markdown mdown mkd mdx",
    "text/csv": "csv",
    "text/tab-separated-values": "tsv tab",
    "application/json": "json geojson jsonld har webmanifest",
    "application/x-ndjson": "jsonl ndjson",
    "application/x-yaml": "yaml yml",
    "application/toml": "toml",
    XML: "xml xsd xsl xslt rdf kml gpx wsdl plist resx fods",
    "application/rss+xml": "rss",
    "application/atom+xml": "atom",
    "image/svg+xml": "svg",
    "text/vtt": "vtt",
    "application/x-subrip": "srt",
    "text/html": "html htm xhtml xht shtml",
    "message/rfc822": "eml mht mhtml",
    "application/x-fictionbook+xml": "fb2",
    "application/x-ipynb+json": "ipynb",
    "application/x-latex": "tex latex sty cls",
    "text/x-bibtex": "bib",
    "application/x-typst": "typ",
    "application/xml+opml": "opml",
    "application/docbook+xml": "dbk docbook",
    "application/x-jats+xml": "jats nxml",
    "application/vnd.oasis.opendocument.text-flat-xml": "fodt",
    "application/vnd.oasis.opendocument.presentation-flat-xml": "fodp",
}

_BY_EXTENSION = {
    **{end: f"text/x-{language}" for language, ends in _CODE.items() for end in ends.split()},
    **{end: media_type for media_type, ends in _MARKED.items() for end in ends.split()},
}
_BY_NAME = {name: f"text/x-{language}" for language, names in _NAMED.items() for name in names.split()}

MEDIA_TYPES = frozenset((*_BY_EXTENSION.values(), *_BY_NAME.values(), PLAIN_TEXT))
"""What text can be by its name."""


FEEDS = frozenset(("application/rss+xml", "application/atom+xml"))
"""What MarkItDown alone reads as more than source."""


def by_name(name: str) -> str:
    """The media type of a text by its name."""
    name = name.lower()
    return _BY_NAME.get(name) or _BY_EXTENSION.get(extension_of(name), PLAIN_TEXT)


def extension_of(name: str) -> str:
    """What stands behind the last dot of a name, in lower case and without the dot; empty if there is none."""
    _, dot, extension = name.rpartition(".")
    return extension.lower() if dot else ""


_PLAIN = {
    PLAIN_TEXT,
    MARKDOWN,
    "text/csv",
    "text/tab-separated-values",
    "application/json",
    "application/x-ndjson",
    "application/x-yaml",
    "application/toml",
    XML,
    "application/rss+xml",
    "application/atom+xml",
    "image/svg+xml",
    "text/vtt",
    "application/x-subrip",
    "application/x-latex",
    "application/x-typst",
    "text/x-bibtex",
    "application/xml+opml",
    *(f"text/x-{language}" for language in _CODE),
}

_OPEN_DOCUMENT = "application/vnd.oasis.opendocument."
_OFFICE = {
    WORD,
    EXCEL,
    POWERPOINT,
    EXCEL_BINARY,
    "application/msword",
    "application/vnd.ms-excel",
    "application/vnd.ms-powerpoint",
    "application/vnd.ms-outlook",
    *(_OPEN_DOCUMENT + kind for kind in ("text", "spreadsheet", "presentation", "graphics")),
    *(_OPEN_DOCUMENT + kind for kind in ("text-flat-xml", "presentation-flat-xml")),
    "application/epub+zip",
    "application/rtf",
    "text/html",
    "message/rfc822",
    "application/x-fictionbook+xml",
    "application/x-ipynb+json",
    "application/docbook+xml",
    "application/x-jats+xml",
    *(f"application/x-iwork-{kind}" for kind in ("pages-sffpages", "keynote-sffkey", "numbers-sffnumbers")),
    "application/x-hwp",
    "application/haansofthwpx",
    "application/x-dbf",
}

_SCANS = {
    "image/tiff",
    "image/bmp",
    "image/jp2",
    "image/x-portable-anymap",
    "image/heic",
    "image/avif",
}

_EXTRACTORS = {
    **dict.fromkeys(_PLAIN, "plain"),
    **dict.fromkeys(_OFFICE, "office"),
    **dict.fromkeys(_SCANS, "scan"),
    "application/pdf": "pdf",
}


def extractor_of(media_type: str) -> str | None:
    """The entry-point name of the extractor for a media type; None if there is none."""
    return _EXTRACTORS.get(media_type)


def stated_type(stated: bytes) -> str:
    """The media type that an OpenDocument or EPUB file states of itself; a template is read like its documents."""
    return stated.decode("ascii", "replace").strip().removesuffix("-template").removesuffix("-master")
