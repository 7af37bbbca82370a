terraform {
  required_version = ">= 1.11"

  required_providers {
    aws = {
      source  = "hashicorp/aws"
      version = "~> 5.100"
    }
  }
}

# Region, credentials and, for a local engine, AWS_ENDPOINT_URL come from the environment: nothing
# here knows which target it is applied to.
provider "aws" {
  default_tags {
    tags = var.tags
  }
}
