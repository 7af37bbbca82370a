# What calls the sweeper every minute, and what keeps the sweeps that failed. A sweep that failed is not
# tried again: the next one is due.

resource "aws_cloudwatch_event_rule" "sweep" {
  count = local.ends_sessions ? 1 : 0

  name                = "${var.name}-sweeper"
  description         = "Closes connections of ${var.name} whose session has ended."
  schedule_expression = "rate(1 minute)"
}

resource "aws_cloudwatch_event_target" "sweep" {
  count = local.ends_sessions ? 1 : 0

  rule      = aws_cloudwatch_event_rule.sweep[0].name
  target_id = "sweeper"
  arn       = aws_lambda_function.this["sweeper"].arn

  retry_policy {
    maximum_event_age_in_seconds = 60
    maximum_retry_attempts       = 1
  }

  dead_letter_config {
    arn = aws_sqs_queue.dead_letters[0].arn
  }
}

resource "aws_lambda_permission" "sweep" {
  count = local.ends_sessions ? 1 : 0

  action        = "lambda:InvokeFunction"
  function_name = aws_lambda_function.this["sweeper"].arn
  principal     = "events.amazonaws.com"
  source_arn    = aws_cloudwatch_event_rule.sweep[0].arn
}

resource "aws_lambda_function_event_invoke_config" "sweep" {
  count = local.ends_sessions ? 1 : 0

  function_name                = aws_lambda_function.this["sweeper"].function_name
  qualifier                    = "$LATEST"
  maximum_event_age_in_seconds = 60
  maximum_retry_attempts       = 0

  destination_config {
    on_failure {
      destination = aws_sqs_queue.dead_letters[0].arn
    }
  }

  # Lambda tries the role's permission when it is told the destination.
  depends_on = [aws_iam_role_policy.function]
}

resource "aws_sqs_queue" "dead_letters" {
  count = local.ends_sessions ? 1 : 0

  name                      = "${var.name}-dead-letters"
  message_retention_seconds = 1209600
  sqs_managed_sse_enabled   = true
}

resource "aws_sqs_queue_policy" "dead_letters" {
  count = local.ends_sessions ? 1 : 0

  queue_url = aws_sqs_queue.dead_letters[0].url
  policy    = data.aws_iam_policy_document.dead_letters[0].json
}

data "aws_iam_policy_document" "dead_letters" {
  count = local.ends_sessions ? 1 : 0

  statement {
    sid       = "RuleSends"
    actions   = ["sqs:SendMessage"]
    resources = [aws_sqs_queue.dead_letters[0].arn]
    principals {
      type        = "Service"
      identifiers = ["events.amazonaws.com"]
    }
    condition {
      test     = "ArnEquals"
      variable = "aws:SourceArn"
      values   = [aws_cloudwatch_event_rule.sweep[0].arn]
    }
  }

  statement {
    sid       = "NothingUnencrypted"
    effect    = "Deny"
    actions   = ["sqs:*"]
    resources = [aws_sqs_queue.dead_letters[0].arn]
    principals {
      type        = "*"
      identifiers = ["*"]
    }
    condition {
      test     = "Bool"
      variable = "aws:SecureTransport"
      values   = ["false"]
    }
  }
}
