"""The question that precedes every call by a role: may this role, assumed by API Gateway, do it?"""

from typing import Protocol

from socketstack.core.policy import PolicyDecision


class Roles(Protocol):
    """Answers from a role's trust policy, identity policies and permissions boundary."""

    def may(self, role_arn: str, action: str, resource: str) -> PolicyDecision:
        """Decide whether API Gateway may assume ``role_arn`` and then do ``action``.

        Args:
            role_arn: The integration's or authorizer's ``CredentialsArn``.
            action: For example ``lambda:InvokeFunction`` or ``sqs:SendMessage``.
            resource: The ARN it is done to.

        Returns:
            A denial when the role does not exist, does not trust ``apigateway.amazonaws.com``,
            or its policies do not allow the action; the reason says which. Rules 3.26, 5.34.
        """
        ...


class NoRoles:
    """Where no identities are kept: every role is refused."""

    def may(self, role_arn: str, action: str, resource: str) -> PolicyDecision:
        """Refuse."""
        return PolicyDecision(
            is_allowed=False,
            reason=f"the role {role_arn} cannot be verified here, so it may not {action} on "
            f"{resource}",
        )
