"""API configuration, as the AWS SDKs, CloudFormation and Terraform see it."""
