"""HTTP clients for servers on loopback: they load no bundle of certificates, which takes 30 ms of each usual one's life."""

from functools import partial

import httpx

async_http = partial(httpx.AsyncClient, verify=False)
sync_http = partial(httpx.Client, verify=False)
http_get = partial(httpx.get, verify=False)
