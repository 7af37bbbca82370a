# What the functions keep: connections, tickets, the token key, logs.

resource "aws_dynamodb_table" "connections" {
  name         = "${var.name}-connections"
  billing_mode = "PAY_PER_REQUEST"
  hash_key     = "connectionId"

  attribute {
    name = "connectionId"
    type = "S"
  }

  attribute {
    name = "userId"
    type = "S"
  }

  attribute {
    name = "sessionShard"
    type = "N"
  }

  attribute {
    name = "sessionEndsAt"
    type = "N"
  }

  global_secondary_index {
    name            = "byUser"
    hash_key        = "userId"
    projection_type = "ALL"
  }

  # For the sweeper. Only rows whose session has an end are in it; without such, it is empty and
  # costs nothing.
  global_secondary_index {
    name            = "bySessionEnd"
    hash_key        = "sessionShard"
    range_key       = "sessionEndsAt"
    projection_type = "ALL"
  }

  ttl {
    attribute_name = "expiresAt"
    enabled        = true
  }

  point_in_time_recovery {
    enabled = var.point_in_time_recovery
  }
}

# Hashes of tickets; a row is of no use a minute after it was written.
resource "aws_dynamodb_table" "tickets" {
  count = var.connect_tickets ? 1 : 0

  name         = "${var.name}-tickets"
  billing_mode = "PAY_PER_REQUEST"
  hash_key     = "ticketHash"

  attribute {
    name = "ticketHash"
    type = "S"
  }

  ttl {
    attribute_name = "expiresAt"
    enabled        = true
  }
}

resource "aws_secretsmanager_secret" "token" {
  name_prefix = "${var.name}-token-"
  description = "Key that signs the connection tokens of ${var.name} (HS256)."
}

# Ephemeral and write-only: the key is in no state file and no plan.
ephemeral "aws_secretsmanager_random_password" "token" {
  password_length     = 64
  exclude_punctuation = true
}

resource "aws_secretsmanager_secret_version" "token" {
  secret_id                = aws_secretsmanager_secret.token.id
  secret_string_wo         = ephemeral.aws_secretsmanager_random_password.token.random_password
  secret_string_wo_version = 1
}

resource "aws_cloudwatch_log_group" "function" {
  for_each = toset(local.function_names)

  name              = "/aws/lambda/${var.name}-${each.key}"
  retention_in_days = var.log_retention_days
}

resource "aws_cloudwatch_log_group" "access" {
  count = var.access_logs ? 1 : 0

  name              = "/aws/apigateway/${var.name}"
  retention_in_days = var.log_retention_days
}
