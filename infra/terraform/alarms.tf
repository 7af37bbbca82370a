# A refused token counts as an error of the authorizer function, so that function has no error
# alarm; what goes wrong there shows as an execution error of the API.

locals {
  alarms = merge(local.system_alarms, local.ends_sessions ? local.sweeper_alarms : {})

  api_dimensions = { ApiId = aws_apigatewayv2_api.this.id, Stage = var.stage }

  system_alarms = {
    execution-errors = {
      description = "API Gateway could not carry out requests, for example an authorizer that fails."
      namespace   = "AWS/ApiGateway"
      metric      = "ExecutionError"
      dimensions  = local.api_dimensions
      threshold   = 1
    }
    client-errors = {
      description = "Many handshakes or messages are refused; somebody may be trying tokens."
      namespace   = "AWS/ApiGateway"
      metric      = "ClientError"
      dimensions  = local.api_dimensions
      threshold   = 100
    }
    connections-errors = {
      description = "The function of $connect and $disconnect fails."
      namespace   = "AWS/Lambda"
      metric      = "Errors"
      dimensions  = { FunctionName = aws_lambda_function.this["connections"].function_name }
      threshold   = 1
    }
    messages-errors = {
      description = "The function that answers messages fails."
      namespace   = "AWS/Lambda"
      metric      = "Errors"
      dimensions  = { FunctionName = aws_lambda_function.this["messages"].function_name }
      threshold   = 1
    }
    authorizer-throttles = {
      description = "The authorizer is called more often than functions may run; handshakes fail."
      namespace   = "AWS/Lambda"
      metric      = "Throttles"
      dimensions  = { FunctionName = aws_lambda_function.this["authorizer"].function_name }
      threshold   = 1
    }
    connections-throttles = {
      description = "The function of $connect is called more often than functions may run; handshakes fail."
      namespace   = "AWS/Lambda"
      metric      = "Throttles"
      dimensions  = { FunctionName = aws_lambda_function.this["connections"].function_name }
      threshold   = 1
    }
    messages-throttles = {
      description = "Messages are not answered, since more would have to be at once than functions may run."
      namespace   = "AWS/Lambda"
      metric      = "Throttles"
      dimensions  = { FunctionName = aws_lambda_function.this["messages"].function_name }
      threshold   = 1
    }
  }

  sweeper_alarms = {
    sweeper-errors = {
      description = "Connections are not closed although their session has ended."
      namespace   = "AWS/Lambda"
      metric      = "Errors"
      dimensions  = { FunctionName = "${var.name}-sweeper" }
      threshold   = 1
    }
    sweeper-throttles = {
      description = "The sweeper is called more often than functions may run; ended sessions last longer."
      namespace   = "AWS/Lambda"
      metric      = "Throttles"
      dimensions  = { FunctionName = "${var.name}-sweeper" }
      threshold   = 1
    }
    dead-letters = {
      description = "Sweeps failed or did not begin. Look into the queue, find the cause, then purge it."
      namespace   = "AWS/SQS"
      metric      = "ApproximateNumberOfMessagesVisible"
      dimensions  = { QueueName = "${var.name}-dead-letters" }
      threshold   = 1
    }
  }
}

resource "aws_cloudwatch_metric_alarm" "this" {
  for_each = local.alarms

  alarm_name          = "${var.name}-${each.key}"
  alarm_description   = each.value.description
  namespace           = each.value.namespace
  metric_name         = each.value.metric
  dimensions          = each.value.dimensions
  statistic           = each.value.metric == "ApproximateNumberOfMessagesVisible" ? "Maximum" : "Sum"
  period              = 300
  evaluation_periods  = 1
  threshold           = each.value.threshold
  comparison_operator = "GreaterThanOrEqualToThreshold"
  treat_missing_data  = "notBreaching"
  alarm_actions       = var.alarm_topic_arn == "" ? [] : [var.alarm_topic_arn]
}
