"""How Sphinx builds this documentation: ``sphinx-build docs docs/_build``."""

project = "collective.beaker"
html_title = "collective.beaker"
extensions = ["sphinx_copybutton", "sphinx_design"]
html_theme = "furo"
html_static_path = ["_static"]
html_css_files = ["pages.css"]
html_js_files = [("pages.js", {"defer": "defer"})]
templates_path = ["_templates"]
html_copy_source = False
html_show_copyright = False
highlight_language = "none"
exclude_patterns = ["_build"]
nitpicky = True

# What is typed is copied, and what is answered is not.
copybutton_prompt_text = r">>> |\.\.\. |\$ "
copybutton_prompt_is_regexp = True
