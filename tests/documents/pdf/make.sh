#!/bin/sh
# Makes the PDFs and the scans beside it: Chromium, LibreOffice, Pandoc, Poppler, and pypdfium2 to turn a page.
set -eu
cd "$(dirname "$0")"
made=$(mktemp -d)
trap 'rm -rf "$made"' EXIT

print() { chromium --headless --no-sandbox --disable-gpu "$@" 2>/dev/null; }
export_pdf() { soffice --headless --convert-to "pdf:writer_pdf_Export:$2" --outdir "$made" "$1" >/dev/null 2>&1; }

for name in contract invoice article world letter floats; do
  print --no-pdf-header-footer --print-to-pdf="$name.pdf" "source/$name.html"
done

# Chromium puts date, title, address and page number on every page.
pandoc -s --metadata pagetitle="Annual Energy Report" source/report.md -o "$made/report.html"
print --print-to-pdf=headed.pdf "$made/report.html"

pandoc source/report.md -o "$made/report.odt"
pandoc source/slides.md -o "$made/slides.pptx"
soffice --headless --convert-to pdf --outdir . "$made/report.odt" "$made/slides.pptx" >/dev/null 2>&1

pandoc -s source/lease.md -o "$made/lease.docx"
soffice --headless --convert-to pdf --outdir . "$made/lease.docx" source/bullets.pptx >/dev/null 2>&1

# Anybody may open the first, nobody without "secret" the second.
export_pdf "$made/report.odt" '{"RestrictPermissions":{"type":"boolean","value":"true"},"PermissionPassword":{"type":"string","value":"owner"},"CopyingContent":{"type":"boolean","value":"false"}}'
mv "$made/report.pdf" restricted.pdf
export_pdf "$made/report.odt" '{"EncryptFile":{"type":"boolean","value":"true"},"DocumentOpenPassword":{"type":"string","value":"secret"}}'
mv "$made/report.pdf" locked.pdf

"${PYTHON:-python3}" - <<'PYTHON'
import pypdfium2

document = pypdfium2.PdfDocument("report.pdf")
document[0].set_rotation(90)
document.save("turned.pdf")
PYTHON

# A page as a scanner sees it, as pictures and as a PDF without text.
pdftoppm -r 150 -gray -png -singlefile contract.pdf ../scans/contract
pdftoppm -r 150 -gray -tiff -tiffcompression deflate -singlefile letter.pdf ../scans/letter
pdftoppm -r 100 -mono -singlefile letter.pdf ../scans/letter
soffice --headless --convert-to pdf --outdir "$made" ../scans/contract.png >/dev/null 2>&1
mv "$made/contract.pdf" scan.pdf
