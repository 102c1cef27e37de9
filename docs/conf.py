"""How Sphinx builds this documentation: ``sphinx-build docs docs/_build``."""

from importlib.util import find_spec


project = "collective.beaker"
html_title = "collective.beaker"
html_theme = "furo" if find_spec("furo") else "alabaster"
if html_theme == "alabaster":
    html_theme_options = {"page_width": "1100px"}
html_static_path = ["_static"]
html_css_files = ["pages.css"]
html_copy_source = False
html_show_copyright = False
highlight_language = "none"
exclude_patterns = ["_build"]
nitpicky = True
