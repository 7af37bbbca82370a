"""Which certificates an account has, over moto's ACM. Rule 1.110."""

import re
from typing import Any, Final

from socketstack.services.sparse_imports import is_loaded, moto_module

_CERTIFICATE: Final = re.compile(r"arn:[a-z-]+:acm:(?P<region>[a-z0-9-]+):(?P<account>\d{12}):.+")


class AccountCertificates:
    """Is there such a certificate? Whether somebody proved the domain is not looked at."""

    def __call__(self, arn: str) -> bool:
        """Whether ACM has the certificate of this ARN."""
        found = _CERTIFICATE.fullmatch(arn)
        if found is None or not is_loaded("acm"):
            return False
        # dict.get: the item access of these dictionaries makes what is missing.
        accounts: dict[str, Any] = moto_module("acm.models").acm_backends
        backend = (accounts.get(found["account"]) or {}).get(found["region"])

        return backend is not None and arn in backend._certificates  # noqa: SLF001
