# Functions, their layer and their roles: one role per function, with what it does and no more.

locals {
  # Sessions end with their token, or when their ticket says so.
  ends_sessions  = var.enforce_token_expiry || var.connect_tickets
  function_names = concat(["authorizer", "connections", "messages"], local.ends_sessions ? ["sweeper"] : [])

  callback_url = var.domain_name != "" && var.callback_url == "" ? "https://${var.domain_name}" : var.callback_url

  all_functions = {
    authorizer = {
      logical_id  = "AuthorizerFunction"
      timeout     = 10
      concurrency = -1
      layers      = []
      environment = {
        TOKEN_SECRET_ARN = aws_secretsmanager_secret.token.arn
        TOKEN_ISSUER     = var.token_issuer
        TOKEN_AUDIENCE   = var.token_audience
        JWKS_URL         = var.jwks_url
        ALLOWED_ORIGINS  = var.allowed_origins

        ENFORCE_TOKEN_EXPIRY = tostring(var.enforce_token_expiry)
        TICKET_TABLE_NAME    = join("", aws_dynamodb_table.tickets[*].name)
      }
      # One of the two: who takes tickets reads no key.
      statements = {
        for policy, statements in {
          tickets = [{
            actions   = ["dynamodb:UpdateItem"]
            resources = aws_dynamodb_table.tickets[*].arn
          }]
          token-secret = [{
            actions   = ["secretsmanager:GetSecretValue"]
            resources = [aws_secretsmanager_secret.token.arn]
          }]
        } : policy => statements if(policy == "tickets") == var.connect_tickets
      }
    }
    connections = {
      logical_id  = "ConnectionsFunction"
      timeout     = 10
      concurrency = -1
      layers      = [aws_lambda_layer_version.push.arn]
      environment = { TABLE_NAME = aws_dynamodb_table.connections.name }
      statements = {
        connection-table = [{
          actions   = ["dynamodb:PutItem", "dynamodb:DeleteItem"]
          resources = [aws_dynamodb_table.connections.arn]
        }]
      }
    }
    messages = {
      logical_id = "MessagesFunction"
      # API Gateway waits 29 seconds for an answer, no longer.
      timeout = 29
      # -1 is the provider's word for no limit.
      concurrency = var.messages_concurrency == 0 ? -1 : var.messages_concurrency
      layers      = [aws_lambda_layer_version.push.arn]
      environment = {
        TABLE_NAME   = aws_dynamodb_table.connections.name
        CALLBACK_URL = local.callback_url
      }
      statements = {
        connection-table = [
          {
            actions   = ["dynamodb:GetItem", "dynamodb:Scan", "dynamodb:DeleteItem"]
            resources = [aws_dynamodb_table.connections.arn]
          },
          {
            actions   = ["dynamodb:Query"]
            resources = ["${aws_dynamodb_table.connections.arn}/index/byUser"]
          },
        ]
        push = [{
          actions = ["execute-api:ManageConnections"]
          # POST sends, DELETE closes.
          resources = [
            "${aws_apigatewayv2_api.this.execution_arn}/${var.stage}/POST/@connections/*",
            "${aws_apigatewayv2_api.this.execution_arn}/${var.stage}/DELETE/@connections/*",
          ]
        }]
      }
    }
    sweeper = {
      logical_id = "SweeperFunction"
      # It begins nothing in the last half of it.
      timeout     = 60
      concurrency = var.sweeper_concurrency == 0 ? -1 : var.sweeper_concurrency
      layers      = [aws_lambda_layer_version.push.arn]
      environment = {
        TABLE_NAME   = aws_dynamodb_table.connections.name
        CALLBACK_URL = local.callback_url
      }
      statements = {
        connection-table = [
          {
            actions   = ["dynamodb:DeleteItem"]
            resources = [aws_dynamodb_table.connections.arn]
          },
          {
            actions   = ["dynamodb:Query"]
            resources = ["${aws_dynamodb_table.connections.arn}/index/bySessionEnd"]
          },
        ]
        close = [{
          actions   = ["execute-api:ManageConnections"]
          resources = ["${aws_apigatewayv2_api.this.execution_arn}/${var.stage}/DELETE/@connections/*"]
        }]
        dead-letters = [{
          actions   = ["sqs:SendMessage"]
          resources = aws_sqs_queue.dead_letters[*].arn
        }]
      }
    }
  }

  functions = { for name in local.function_names : name => local.all_functions[name] }

  policies = merge([
    for name, function in local.functions : {
      for policy, statements in merge(function.statements, {
        logs = [{
          actions   = ["logs:CreateLogStream", "logs:PutLogEvents"]
          resources = ["${aws_cloudwatch_log_group.function[name].arn}:*"]
        }]
        }, var.tracing ? {
        # X-Ray knows no resources, so these two actions cannot be held to one.
        traces = [{
          actions   = ["xray:PutTraceSegments", "xray:PutTelemetryRecords"]
          resources = ["*"]
        }]
      } : {}) : "${name}/${policy}" => { function = name, policy = policy, statements = statements }
    }
  ]...)
}

resource "aws_lambda_function" "this" {
  for_each = local.functions

  function_name    = "${var.name}-${each.key}"
  filename         = "${var.build_dir}/${each.value.logical_id}.zip"
  source_code_hash = filebase64sha256("${var.build_dir}/${each.value.logical_id}.zip")
  handler          = "handler.handler"
  runtime          = var.python_runtime
  architectures    = [var.architecture]
  memory_size      = 256
  timeout          = each.value.timeout

  reserved_concurrent_executions = each.value.concurrency

  layers = each.value.layers
  role   = aws_iam_role.function[each.key].arn

  environment {
    variables = each.value.environment
  }

  tracing_config {
    mode = var.tracing ? "Active" : "PassThrough"
  }

  # The group must be ours before the function's first line would make one that keeps logs for ever.
  depends_on = [aws_cloudwatch_log_group.function]
}

resource "aws_lambda_layer_version" "push" {
  layer_name          = "${var.name}-push"
  description         = "The connection table, and posting to connections."
  filename            = "${var.build_dir}/PushLayer.zip"
  source_code_hash    = filebase64sha256("${var.build_dir}/PushLayer.zip")
  compatible_runtimes = [var.python_runtime]
}

resource "aws_iam_role" "function" {
  for_each = toset(local.function_names)

  name               = "${var.name}-${each.key}"
  assume_role_policy = data.aws_iam_policy_document.lambda_may_assume.json
}

data "aws_iam_policy_document" "lambda_may_assume" {
  statement {
    actions = ["sts:AssumeRole"]
    principals {
      type        = "Service"
      identifiers = ["lambda.amazonaws.com"]
    }
  }
}

resource "aws_iam_role_policy" "function" {
  for_each = local.policies

  role   = aws_iam_role.function[each.value.function].name
  name   = each.value.policy
  policy = data.aws_iam_policy_document.function[each.key].json
}

data "aws_iam_policy_document" "function" {
  for_each = local.policies

  dynamic "statement" {
    for_each = each.value.statements
    content {
      actions   = statement.value.actions
      resources = statement.value.resources
    }
  }
}
