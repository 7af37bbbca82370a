"""The operations that only look: stacks, events, resources, change sets, templates, exports."""

from collections.abc import Mapping
from typing import Any

from socketstack.services.cfn import prepare, views
from socketstack.services.cfn.errors import InvalidTemplate, NotSupported
from socketstack.services.cfn.stack import ChangeSet, Stacks

Members = Mapping[str, Any]
Result = dict[str, Any]


class Reading:
    """What can be read of one region's stacks; a method for each operation."""

    def __init__(self, stacks: Stacks) -> None:
        self._stacks = stacks

    def describe_change_set(self, members: Members) -> Result:
        """A change set with its changes."""
        return views.change_set(self._change_set(members))

    def list_change_sets(self, members: Members) -> Result:
        """The change sets of a stack."""
        stack = self._stacks.get(str(members["StackName"]))
        return {"Summaries": [views.change_set_summary(c) for c in self._stacks.change_sets(stack)]}

    def describe_stacks(self, members: Members) -> Result:
        """One stack, or all that are not deleted."""
        name = members.get("StackName")
        found = self._stacks.live() if name is None else [self._stacks.get(str(name))]
        return {"Stacks": [views.stack(one) for one in found]}

    def list_stacks(self, members: Members) -> Result:
        """All stacks, deleted ones too."""
        wanted = members.get("StackStatusFilter")
        found = [one for one in self._stacks.all() if not wanted or one.status in wanted]
        return {"StackSummaries": [views.summary(one) for one in found]}

    def describe_stack_events(self, members: Members) -> Result:
        """A stack's events, newest first."""
        stack = self._stacks.get(str(members["StackName"]))
        return {"StackEvents": [views.event(stack, one) for one in reversed(stack.events)]}

    def describe_stack_resource(self, members: Members) -> Result:
        """One resource."""
        stack = self._stacks.get(str(members["StackName"]))
        logical_id = str(members["LogicalResourceId"])
        if logical_id not in stack.states:
            raise InvalidTemplate(
                f"Resource {logical_id} does not exist for stack {members['StackName']}"
            )
        detail = views.resource(stack, logical_id, time_member="LastUpdatedTimestamp")
        return {"StackResourceDetail": detail}

    def describe_stack_resources(self, members: Members) -> Result:
        """All resources of a stack, or one."""
        if not members.get("StackName"):
            raise NotSupported(
                "DescribeStackResources by PhysicalResourceId is not supported by the local engine."
            )
        stack = self._stacks.get(str(members["StackName"]))
        wanted = members.get("LogicalResourceId")
        return {
            "StackResources": [
                views.resource(stack, name, time_member="Timestamp")
                for name in stack.states
                if wanted in {None, name}
            ]
        }

    def list_stack_resources(self, members: Members) -> Result:
        """All resources of a stack."""
        stack = self._stacks.get(str(members["StackName"]))
        return {
            "StackResourceSummaries": [
                {
                    name: value
                    for name, value in views.resource(
                        stack, logical_id, time_member="LastUpdatedTimestamp"
                    ).items()
                    if name not in {"StackName", "StackId"}
                }
                for logical_id in stack.states
            ]
        }

    def get_template(self, members: Members) -> Result:
        """A template as written or as processed."""
        if members.get("ChangeSetName"):
            wanted = self._change_set(members).target
        else:
            stack = self._stacks.get(str(members["StackName"]))
            if stack.target is None:
                raise InvalidTemplate(f"Stack {stack.name} has no template yet")
            wanted = stack.target
        template = wanted.template
        is_original = members.get("TemplateStage") == "Original" or not template.transforms
        body = template.text if is_original else prepare.as_json(template.document)
        return {"TemplateBody": body, "StagesAvailable": ["Original", "Processed"]}

    def list_exports(self, members: Members) -> Result:
        """What stacks export."""
        del members
        return {
            "Exports": [
                {"ExportingStackId": s.stack_id, "Name": o.export_name, "Value": o.value}
                for s, o in self._stacks.exports()
            ]
        }

    def list_imports(self, members: Members) -> Result:
        """Who imports an export."""
        name = str(members["ExportName"])
        users = [one.name for one in self._stacks.importers(name)]
        if not users:
            raise InvalidTemplate(f"Export '{name}' is not imported by any stack.")
        return {"Imports": users}

    def _change_set(self, members: Members) -> ChangeSet:
        return self._stacks.get_change_set(str(members["ChangeSetName"]), members.get("StackName"))
