"""API keys and usage plans as an administrator makes them, over AWS's own calls."""

import asyncio
from typing import Any

import botocore.exceptions
import pytest
from dataplane_world import API, STAGE, World

VALUE = "a-secret-key-of-thirty-characters"
OTHER = "another-secret-key-of-more-characters"


class Keys:
    """What an administrator does, over AWS's own calls."""

    def __init__(self, world: World) -> None:
        self.world = world
        self._client = world.gateway()

    async def call(self, operation: str, **members: Any) -> Any:
        """One call."""
        return await asyncio.to_thread(getattr(self._client, operation), **members)

    async def refused(self, operation: str, **members: Any) -> tuple[str, int, str]:
        """Error name, status and message of a call that is expected to fail."""
        with pytest.raises(botocore.exceptions.ClientError) as caught:
            await self.call(operation, **members)
        response: Any = caught.value.response
        error = response["Error"]
        return error["Code"], response["ResponseMetadata"]["HTTPStatusCode"], error["Message"]

    async def key(self, value: str = VALUE, **members: Any) -> str:
        """A new key; its id."""
        made = await self.call(
            "create_api_key", **{"name": "client", "enabled": True, "value": value, **members}
        )
        return str(made["id"])

    async def plan(self, *key_ids: str, stage: str = STAGE, **members: Any) -> str:
        """A new plan that holds the API's stage and these keys; its id."""
        stages = [{"apiId": API, "stage": stage}] if stage else []
        made = await self.call(
            "create_usage_plan", **{"name": "basic", "apiStages": stages, **members}
        )
        for key_id in key_ids:
            await self.call(
                "create_usage_plan_key", usagePlanId=made["id"], keyId=key_id, keyType="API_KEY"
            )
        return str(made["id"])

    async def patch(self, plan_id: str, *operations: tuple[str, str, str]) -> Any:
        """Change a plan."""
        patches = [
            {"op": verb, "path": path, **({"value": value} if value else {})}
            for verb, path, value in operations
        ]
        return await self.call("update_usage_plan", usagePlanId=plan_id, patchOperations=patches)

    def close(self) -> None:
        """Close what boto3 keeps open."""
        self._client.close()
