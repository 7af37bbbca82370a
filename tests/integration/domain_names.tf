# Custom domain names, API keys and usage plans, in two steps: step 2 changes, clears or removes what
# step 1 set. A plan after each step must be empty.
terraform {
  required_providers {
    aws = {
      source = "hashicorp/aws"
    }
  }
}
variable "endpoint" { type = string }
variable "step" { type = number }
provider "aws" {
  region                      = "us-east-1"
  access_key                  = "AKIDEXAMPLE"
  secret_key                  = "secret"
  skip_credentials_validation = true
  skip_requesting_account_id  = true
  skip_metadata_api_check     = true
  skip_region_validation      = true
  endpoints {
    acm          = var.endpoint
    apigateway   = var.endpoint
    apigatewayv2 = var.endpoint
  }
}
locals {
  two = var.step == 2
}
resource "aws_apigatewayv2_api" "chat" {
  name                       = "chat"
  protocol_type              = "WEBSOCKET"
  route_selection_expression = "$request.body.action"
}
resource "aws_apigatewayv2_route" "default" {
  api_id    = aws_apigatewayv2_api.chat.id
  route_key = "$default"
}
resource "aws_apigatewayv2_route" "connect" {
  api_id           = aws_apigatewayv2_api.chat.id
  route_key        = "$connect"
  api_key_required = !local.two
}
resource "aws_apigatewayv2_stage" "live" {
  for_each    = toset(["dev", "prod"])
  api_id      = aws_apigatewayv2_api.chat.id
  name        = each.key
  auto_deploy = true
  default_route_settings {
    throttling_burst_limit = local.two ? 20 : 10
    throttling_rate_limit  = local.two ? 2.5 : 5
  }
  depends_on = [aws_apigatewayv2_route.default]
}
resource "aws_acm_certificate" "own" {
  for_each          = toset(["first", "second"])
  domain_name       = "${each.key}.example.com"
  validation_method = "DNS"
}
resource "aws_apigatewayv2_domain_name" "own" {
  domain_name = "api.example.com"
  domain_name_configuration {
    certificate_arn = aws_acm_certificate.own[local.two ? "second" : "first"].arn
    endpoint_type   = "REGIONAL"
    security_policy = "TLS_1_2"
  }
  tags = local.two ? { b = "2" } : { a = "1" }
}
resource "aws_apigatewayv2_api_mapping" "root" {
  api_id      = aws_apigatewayv2_api.chat.id
  domain_name = aws_apigatewayv2_domain_name.own.id
  stage       = aws_apigatewayv2_stage.live[local.two ? "prod" : "dev"].id
}
resource "aws_apigatewayv2_api_mapping" "keyed" {
  api_id          = aws_apigatewayv2_api.chat.id
  domain_name     = aws_apigatewayv2_domain_name.own.id
  stage           = aws_apigatewayv2_stage.live["dev"].id
  api_mapping_key = local.two ? "talk" : "chat"
}
resource "aws_api_gateway_api_key" "client" {
  name        = "client"
  description = local.two ? "changed" : "first"
  enabled     = !local.two
  tags        = local.two ? { b = "2" } : { a = "1" }
}
resource "aws_api_gateway_usage_plan" "basic" {
  name        = local.two ? "gold" : "basic"
  description = "what clients may do"
  dynamic "api_stages" {
    for_each = local.two ? ["prod"] : ["dev", "prod"]
    content {
      api_id = aws_apigatewayv2_api.chat.id
      stage  = aws_apigatewayv2_stage.live[api_stages.value].name
    }
  }
  dynamic "quota_settings" {
    for_each = local.two ? [] : [1]
    content {
      limit  = 100
      offset = 2
      period = "WEEK"
    }
  }
  throttle_settings {
    burst_limit = local.two ? 6 : 5
    rate_limit  = local.two ? 2.5 : 1.5
  }
  tags = { plan = local.two ? "2" : "1" }
}
resource "aws_api_gateway_usage_plan_key" "client" {
  key_id        = aws_api_gateway_api_key.client.id
  key_type      = "API_KEY"
  usage_plan_id = aws_api_gateway_usage_plan.basic.id
}
