output "api_id" {
  description = "Id of the WebSocket API."
  value       = aws_apigatewayv2_api.this.id
}

output "stage" {
  description = "Name of the stage."
  value       = aws_apigatewayv2_stage.this.name
}

output "websocket_url" {
  description = "Where clients connect, with ?token=…"
  value       = "${aws_apigatewayv2_api.this.api_endpoint}/${aws_apigatewayv2_stage.this.name}"
}

output "connections_url" {
  description = "Endpoint of the management API, for post_to_connection."
  value       = "https://${aws_apigatewayv2_api.this.id}.execute-api.${data.aws_region.current.name}.${data.aws_partition.current.dns_suffix}/${var.stage}"
}

output "table_name" {
  description = "The connection table."
  value       = aws_dynamodb_table.connections.name
}

output "sweeper_function_name" {
  description = "The function that closes connections whose session has ended, every minute. Empty: sessions have no end of their own."
  value       = local.ends_sessions ? "${var.name}-sweeper" : ""
}

output "dead_letter_queue_url" {
  description = "Where sweeps are found that failed or did not begin. Empty: there is none."
  value       = join("", aws_sqs_queue.dead_letters[*].url)
}

output "token_secret_arn" {
  description = "Where the HS256 key is kept."
  value       = aws_secretsmanager_secret.token.arn
}

output "jwks_url" {
  description = "The key set that tokens are checked with, instead of the secret. Empty: the secret."
  value       = var.jwks_url
}

output "token_issuer" {
  description = "The claim iss of a good token."
  value       = var.token_issuer
}

output "token_audience" {
  description = "The claim aud of a good token."
  value       = var.token_audience
}

output "ticket_table_name" {
  description = "The table of one-time tickets; who may write to it can issue them. Empty: tokens are taken."
  value       = join("", aws_dynamodb_table.tickets[*].name)
}

output "domain_url" {
  description = "Where clients connect under the custom domain name, with ?token=… Empty: there is none."
  value       = var.domain_name == "" ? "" : "wss://${var.domain_name}"
}

output "domain_target" {
  description = "What the DNS record of the custom domain name leads to. Empty: there is none."
  value       = join("", aws_apigatewayv2_domain_name.this[*].domain_name_configuration[0].target_domain_name)
}
