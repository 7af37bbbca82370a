"""The other AWS services, through moto, and CloudFormation over the control plane."""
