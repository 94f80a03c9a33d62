"""Writes the mails among the documents, with Python's own `email`."""

import sys
from datetime import UTC, datetime
from email.message import EmailMessage
from pathlib import Path


def begun(subject: str) -> EmailMessage:
    """A mail with its head."""
    mail = EmailMessage()
    mail["From"] = "Maria Köhler <maria@example.org>"
    mail["To"] = "Jón Þórsson <jon@example.org>, harbour@example.org"
    mail["Date"] = datetime(2024, 3, 5, 9, 30, tzinfo=UTC)
    mail["Subject"] = subject
    mail["Message-ID"] = "<1@example.org>"
    return mail


def main(folder: Path) -> None:
    """A mail with two bodies and attachments, one with HTML alone, and one that was sent on."""
    both = begun("The harbour: Größe & Straße")
    both["Cc"] = "council@example.org"
    both.set_content("Dear Jón,\n\nthe lamps cost 640 €.\n\n> What do they cost?\n\nMaria\n", cte="quoted-printable")
    both.add_alternative("<p>Dear Jón,</p><p>the lamps cost <b>640 €</b>.</p>", subtype="html")
    both.add_attachment(b"%PDF-1.4", maintype="application", subtype="pdf", filename="lamps.pdf")
    both.add_attachment(b"PK", maintype="application", subtype="zip", filename="Grüße aus Köln.zip")
    (folder / "both.eml").write_bytes(both.as_bytes())
    page = begun("Only HTML")
    page.set_content(
        "<html><head><style>p {color: red}</style></head><body><h2>Lamps</h2><ul><li>oil</li><li>gas</li></ul>"
        '<p>See <a href="https://example.org/lamps">the list</a>.</p>'
        "<table><tr><th>Lamp</th><th>Cost</th></tr><tr><td>oil</td><td>640</td></tr></table>"
        '<img src="https://tracker.example.org/pixel.gif" width="1" height="1"></body></html>',
        subtype="html",
        charset="iso-8859-1",
    )
    (folder / "html.eml").write_bytes(page.as_bytes())
    sent_on = begun("Fwd: the harbour")
    sent_on.set_content("For your files.\n")
    sent_on.add_attachment(both)
    (folder / "forwarded.eml").write_bytes(sent_on.as_bytes())


if __name__ == "__main__":
    main(Path(sys.argv[1]))
