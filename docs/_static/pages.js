// What Sphinx and Furo leave out for keyboards and screen readers.

for (const caption of document.querySelectorAll(".caption[role=heading]"))
    caption.setAttribute("aria-level", "2");
document.querySelector(".sidebar-drawer").setAttribute("aria-label", "Pages");
document.querySelector(".toc-drawer")?.setAttribute("aria-label", "On this page");

// What has to be scrolled sideways can be reached with the keyboard.
const sizes = new ResizeObserver((entries) => {
    for (const { target } of entries)
        if (target.scrollWidth > target.clientWidth) target.tabIndex = 0;
        else target.removeAttribute("tabindex");
});
for (const box of document.querySelectorAll("pre, .table-wrapper, table.figures"))
    sizes.observe(box);
