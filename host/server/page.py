"""Page on which people search: one file, which asks this server and nothing else."""

import base64
import hashlib
import re
from importlib.resources import files
from typing import Final

from litestar import Response, get

__all__ = ["ROUTES"]

_TEXT: Final = files("ninefold.host.server").joinpath("page.html").read_text(encoding="utf-8")


def _policy(text: str) -> str:
    """Return a content security policy that allows the page's own script and style, by their digests, and no other."""

    def allowed(element: str) -> str:
        (content,) = re.findall(rf"<{element}>(.*?)</{element}>", text, re.DOTALL)
        return base64.b64encode(hashlib.sha256(content.encode()).digest()).decode()

    return (
        f"default-src 'none'; script-src 'sha256-{allowed('script')}'; style-src 'sha256-{allowed('style')}'; "
        "img-src data:; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    )


_POLICY: Final = _policy(_TEXT)


@get("/", media_type="text/html", include_in_schema=False)
async def page() -> Response[str]:
    """Return the page."""
    return Response(_TEXT, media_type="text/html", headers={"content-security-policy": _POLICY})


ROUTES: Final = (page,)
