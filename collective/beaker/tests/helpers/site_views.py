"""The views of a site that several Zopes serve."""

import os
from collections.abc import Callable
from typing import Any

from beaker.cache import cache_region
from beaker.cache import region_invalidate
from Products.Five.browser import BrowserView
from ZPublisher.HTTPRequest import HTTPRequest

from collective.beaker.tests.helpers.clients import count_as_owner
from collective.beaker.tests.helpers.stress import count_for_client
from collective.beaker.tests.helpers.zope import VIEW_NAME


PROCESS = "X-Process"
"""The header that tells which process has answered."""


@cache_region("short")
def compute() -> int:
    """Return the process that has computed this."""
    return os.getpid()


def show_computed(request: HTTPRequest) -> str:
    return str(compute())


def compute_anew(request: HTTPRequest) -> str:
    region_invalidate(compute, "short")
    return show_computed(request)


class View(BrowserView):
    """A view that is a function of the request."""

    function: Callable[[HTTPRequest], Any]

    def __call__(self) -> str:
        self.request.response.setHeader(PROCESS, str(os.getpid()))
        return type(self).function(self.request)


class CountAsOwner(View):
    function = staticmethod(count_as_owner)


class CountForClient(View):
    function = staticmethod(count_for_client)


class ShowComputed(View):
    function = staticmethod(show_computed)


class ComputeAnew(View):
    function = staticmethod(compute_anew)


NAMES = {
    VIEW_NAME: CountAsOwner,
    "count": CountForClient,
    "show": ShowComputed,
    "anew": ComputeAnew,
}

ZCML = '<configure xmlns:browser="http://namespaces.zope.org/browser">{}</configure>'.format(
    "".join(
        f'<browser:page name="{name}" for="*" permission="zope2.View" '
        f'class="{__name__}.{view.__name__}" />'
        for name, view in NAMES.items()
    )
)
