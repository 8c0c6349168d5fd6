"""Reports as data (:mod:`lighthead.report.page`), and ways to show them.

``write.write_html``: one HTML file that needs no network. ``write.write_folder``: the same with
Markdown and its PNGs. ``terminal.print_page``: tables and notes in a terminal. Layers above
say what stands in a report; how it looks is decided here.
"""
