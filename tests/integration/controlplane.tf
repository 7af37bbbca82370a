# Every aws_apigatewayv2 resource of WebSocket APIs, in two steps: step 2 changes, clears or removes
# what step 1 set. A plan after each step must be empty.
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
  region                      = "eu-west-1"
  access_key                  = "AKIDEXAMPLE"
  secret_key                  = "secret"
  skip_credentials_validation = true
  skip_requesting_account_id  = true
  skip_metadata_api_check     = true
  skip_region_validation      = true
  endpoints {
    apigatewayv2 = var.endpoint
  }
  default_tags {
    tags = { owner = "blue" }
  }
}
locals {
  two = var.step == 2
  uri = "arn:aws:apigateway:eu-west-1:lambda:path/2015-03-31/functions/arn:aws:lambda:eu-west-1:000000000000:function:f/invocations"
}
resource "aws_apigatewayv2_api" "a" {
  name                       = local.two ? "chat2" : "chat"
  protocol_type              = "WEBSOCKET"
  route_selection_expression = "$request.body.action"
  description                = local.two ? null : "talk"
  version                    = local.two ? null : "1"
  tags                       = local.two ? { b = "2" } : { a = "1" }
}
resource "aws_apigatewayv2_authorizer" "t" {
  api_id           = aws_apigatewayv2_api.a.id
  authorizer_type  = "REQUEST"
  authorizer_uri   = local.uri
  identity_sources = local.two ? ["route.request.header.Auth"] : ["route.request.querystring.token", "context.stage"]
  name             = "token"
}
resource "aws_apigatewayv2_authorizer" "bare" {
  api_id          = aws_apigatewayv2_api.a.id
  authorizer_type = "REQUEST"
  authorizer_uri  = local.uri
  name            = "bare"
}
resource "aws_apigatewayv2_integration" "f" {
  api_id           = aws_apigatewayv2_api.a.id
  integration_type = "AWS_PROXY"
  integration_uri  = local.uri
}
resource "aws_apigatewayv2_integration" "m" {
  api_id                        = aws_apigatewayv2_api.a.id
  integration_type              = "MOCK"
  description                   = local.two ? null : "mock"
  request_templates             = local.two ? { "200" = "{\"statusCode\":200}" } : { "200" = "{\"statusCode\": 200}", "x" = "y" }
  template_selection_expression = local.two ? null : "200"
}
resource "aws_apigatewayv2_integration" "h" {
  api_id                    = aws_apigatewayv2_api.a.id
  integration_type          = "HTTP"
  integration_method        = "POST"
  integration_uri           = "https://example.com"
  request_parameters        = local.two ? { "integration.request.header.b" = "'2'" } : { "integration.request.header.a" = "'1'" }
  timeout_milliseconds      = local.two ? 2000 : 1000
  content_handling_strategy = "CONVERT_TO_TEXT"
}
resource "aws_apigatewayv2_integration_response" "h" {
  api_id                        = aws_apigatewayv2_api.a.id
  integration_id                = aws_apigatewayv2_integration.h.id
  integration_response_key      = local.two ? "$default" : "/200/"
  response_templates            = local.two ? {} : { "a" = "b" }
  template_selection_expression = local.two ? null : "a"
}
resource "aws_apigatewayv2_model" "m" {
  api_id       = aws_apigatewayv2_api.a.id
  content_type = "application/json"
  name         = "Message"
  schema       = jsonencode({ type = "object" })
}
resource "aws_apigatewayv2_route" "connect" {
  api_id             = aws_apigatewayv2_api.a.id
  route_key          = "$connect"
  authorization_type = local.two ? "NONE" : "CUSTOM"
  authorizer_id      = local.two ? null : aws_apigatewayv2_authorizer.t.id
  target             = "integrations/${aws_apigatewayv2_integration.f.id}"
  dynamic "request_parameter" {
    for_each = local.two ? ["b", "c"] : ["a", "b"]
    content {
      request_parameter_key = "route.request.querystring.${request_parameter.value}"
      required              = local.two
    }
  }
}
resource "aws_apigatewayv2_route" "echo" {
  api_id                              = aws_apigatewayv2_api.a.id
  route_key                           = local.two ? "echo2" : "echo"
  operation_name                      = local.two ? null : "Echo"
  route_response_selection_expression = local.two ? null : "$default"
  model_selection_expression          = "$request.body.kind"
  request_models                      = local.two ? {} : { "$default" = aws_apigatewayv2_model.m.name }
  target                              = local.two ? "integrations/${aws_apigatewayv2_integration.m.id}" : "integrations/${aws_apigatewayv2_integration.f.id}"
}
resource "aws_apigatewayv2_route_response" "echo" {
  api_id             = aws_apigatewayv2_api.a.id
  route_id           = aws_apigatewayv2_route.echo.id
  route_response_key = "$default"
}
resource "aws_apigatewayv2_deployment" "d" {
  api_id      = aws_apigatewayv2_api.a.id
  description = local.two ? "two" : "one"
  triggers    = { step = var.step }
  depends_on  = [aws_apigatewayv2_route.connect, aws_apigatewayv2_route.echo, aws_apigatewayv2_route_response.echo]
  lifecycle { create_before_destroy = true }
}
resource "aws_apigatewayv2_stage" "dev" {
  api_id          = aws_apigatewayv2_api.a.id
  name            = "dev"
  deployment_id   = aws_apigatewayv2_deployment.d.id
  description     = local.two ? null : "dev"
  stage_variables = local.two ? { b = "2" } : { a = "1" }
  default_route_settings {
    throttling_burst_limit = local.two ? 10 : 5
    throttling_rate_limit  = 100
    logging_level          = local.two ? "OFF" : "INFO"
  }
  dynamic "route_settings" {
    for_each = local.two ? ["$connect"] : [aws_apigatewayv2_route.echo.route_key, "$default"]
    content {
      route_key              = route_settings.value
      throttling_burst_limit = 3
      throttling_rate_limit  = 4
    }
  }
  dynamic "access_log_settings" {
    for_each = local.two ? [] : [1]
    content {
      destination_arn = "arn:aws:logs:eu-west-1:000000000000:log-group:g"
      format          = "$context.requestId"
    }
  }
  tags = local.two ? {} : { t = "1" }
}
resource "aws_apigatewayv2_stage" "auto" {
  api_id      = aws_apigatewayv2_api.a.id
  name        = "auto"
  auto_deploy = true
}
output "endpoint" { value = aws_apigatewayv2_api.a.api_endpoint }
