"""Requests of Zope that nobody publishes."""

from io import BytesIO

from ZPublisher.HTTPRequest import HTTPRequest
from ZPublisher.HTTPResponse import HTTPResponse


def make_request(cookies=None, **environ):
    environ |= {"SERVER_NAME": "localhost", "SERVER_PORT": "80"}
    request = HTTPRequest(BytesIO(), environ, HTTPResponse())
    request.cookies.update(cookies or {})
    return request
