# The API: the native twin of AWS::Serverless::WebSocketApi in ../template.yaml.

data "aws_partition" "current" {}
data "aws_region" "current" {}

locals {
  # Route key to the function that answers it, and whether the answer reaches the client.
  routes = {
    "$connect"    = { function = "connections", is_two_way = false }
    "$disconnect" = { function = "connections", is_two_way = false }
    "$default"    = { function = "messages", is_two_way = true }
    "echo"        = { function = "messages", is_two_way = true }
    "send"        = { function = "messages", is_two_way = true }
  }
  two_way_routes = { for key, route in local.routes : key => route if route.is_two_way }
}

resource "aws_apigatewayv2_api" "this" {
  name                       = var.name
  protocol_type              = "WEBSOCKET"
  route_selection_expression = "$request.body.action"
}

resource "aws_apigatewayv2_authorizer" "token" {
  api_id          = aws_apigatewayv2_api.this.id
  name            = "ApiConnectAuthorizer"
  authorizer_type = "REQUEST"
  authorizer_uri  = aws_lambda_function.this["authorizer"].invoke_arn
  # Without this parameter the handshake is refused and no function runs.
  identity_sources = ["route.request.querystring.token"]
}

resource "aws_apigatewayv2_integration" "this" {
  for_each = local.routes

  api_id           = aws_apigatewayv2_api.this.id
  integration_type = "AWS_PROXY"
  integration_uri  = aws_lambda_function.this[each.value.function].invoke_arn
}

resource "aws_apigatewayv2_route" "this" {
  for_each = local.routes

  api_id             = aws_apigatewayv2_api.this.id
  route_key          = each.key
  target             = "integrations/${aws_apigatewayv2_integration.this[each.key].id}"
  authorization_type = each.key == "$connect" ? "CUSTOM" : "NONE"
  authorizer_id      = each.key == "$connect" ? aws_apigatewayv2_authorizer.token.id : null

  route_response_selection_expression = each.value.is_two_way ? "$default" : null
}

# A reply reaches the client only through a route response.
resource "aws_apigatewayv2_route_response" "this" {
  for_each = local.two_way_routes

  api_id             = aws_apigatewayv2_api.this.id
  route_id           = aws_apigatewayv2_route.this[each.key].id
  route_response_key = "$default"
}

resource "aws_apigatewayv2_stage" "this" {
  api_id = aws_apigatewayv2_api.this.id
  name   = var.stage
  # Every change of routes, integrations and authorizers goes live by itself.
  auto_deploy = true

  # Both, always: the provider sends 0 for the one that is left out, and 0 lets nothing pass.
  default_route_settings {
    throttling_rate_limit  = var.throttle_rate
    throttling_burst_limit = var.throttle_burst
  }

  dynamic "access_log_settings" {
    for_each = aws_cloudwatch_log_group.access
    content {
      destination_arn = access_log_settings.value.arn
      format = jsonencode({
        requestId          = "$context.requestId"
        time               = "$context.requestTime"
        eventType          = "$context.eventType"
        routeKey           = "$context.routeKey"
        status             = "$context.status"
        connectionId       = "$context.connectionId"
        user               = "$context.authorizer.principalId"
        sourceIp           = "$context.identity.sourceIp"
        authorizeError     = "$context.authorize.error"
        authorizerError    = "$context.authorizer.error"
        authorizerStatus   = "$context.authorizer.status"
        authorizerLatency  = "$context.authorizer.latency"
        integrationError   = "$context.integration.error"
        integrationLatency = "$context.integration.latency"
      })
    }
  }

  # The provider shows the deployment that auto-deploy made; it is not ours to set.
  lifecycle {
    ignore_changes = [deployment_id]
  }
}

resource "aws_lambda_permission" "route" {
  for_each = local.routes

  action        = "lambda:InvokeFunction"
  function_name = aws_lambda_function.this[each.value.function].arn
  principal     = "apigateway.amazonaws.com"
  source_arn    = "${aws_apigatewayv2_api.this.execution_arn}/${var.stage}/${each.key}"
}

resource "aws_lambda_permission" "authorizer" {
  action        = "lambda:InvokeFunction"
  function_name = aws_lambda_function.this["authorizer"].arn
  principal     = "apigateway.amazonaws.com"
  source_arn    = "${aws_apigatewayv2_api.this.execution_arn}/authorizers/*"
}
