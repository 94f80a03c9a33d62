#!/bin/sh
# Makes the office documents, web pages, mails and texts of the tests from what is in source/, with the programs that
# people use: Pandoc, LibreOffice, and Python's own email.
set -eu
cd "$(dirname "$0")"
profile=$(mktemp -d)
trap 'rm -rf "$profile"' EXIT

office() { # office FORMAT FOLDER FILE: converts with LibreOffice
    soffice "-env:UserInstallation=file://$profile" --headless --convert-to "$1" --outdir "$2" "$3" >/dev/null 2>&1
}

cd source
for format in docx odt epub rtf; do pandoc -s report.md -o "../office/pandoc.$format"; done
pandoc -s report.md -o ../web/pandoc.html
pandoc -s report.md -t ipynb -o ../text/report.ipynb
pandoc -s report.md -t fb2 -o ../text/report.fb2
pandoc -s report.md -t docbook5 -o ../text/report.dbk
pandoc -s report.md -t jats_archiving -o ../text/report.jats
pandoc -s slides.md -o ../office/pandoc.pptx
cd ..

work=$(mktemp -d)
cp office/pandoc.odt "$work/report.odt"
office odt office "$work/report.odt"
office 'docx:MS Word 2007 XML' office "$work/report.odt"
for format in doc rtf epub fodt; do office "$format" office "$work/report.odt"; done
office html "$work" "$work/report.odt"
cp "$work/report.html" web/office.html
cp office/pandoc.pptx "$work/slides.pptx"
for format in odp ppt; do office "$format" office "$work/slides.pptx"; done
office pptx office office/slides.odp
for format in xlsx ods xls; do office "$format" office source/costs.fods; done
rm -rf "$work"

python3 make_mail.py mail
python3 make_msg.py mail/outlook.msg
