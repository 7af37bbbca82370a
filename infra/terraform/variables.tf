variable "name" {
  description = "Prefix of every resource's name; also the API's name."
  type        = string
  default     = "socketstack"
}

variable "build_dir" {
  description = "Folder with the zips that `make build` (or `make build TARGET=aws`) makes."
  type        = string
  default     = "../../.build/aws"
}

variable "stage" {
  description = "Name of the stage, the last part of the WebSocket URL."
  type        = string
  default     = "dev"

  validation {
    condition     = can(regex("^[A-Za-z0-9_-]{1,128}$", var.stage))
    error_message = "Letters, digits, hyphen and underscore, at most 128."
  }
}

variable "token_issuer" {
  description = "The claim iss that a token must have."
  type        = string
  default     = "socketstack"
}

variable "token_audience" {
  description = "The claim aud that a token must have."
  type        = string
  default     = "socketstack"
}

variable "jwks_url" {
  description = "Address of a JSON Web Key Set; then only RS256 and ES256 tokens are accepted. Empty: HS256 with the key in the secret."
  type        = string
  default     = ""

  validation {
    condition     = can(regex("^$|^https://.+|^http://(localhost|127\\.0\\.0\\.1)([:/].*)?$", var.jwks_url))
    error_message = "Must be empty or an https address."
  }
}

variable "enforce_token_expiry" {
  description = "Close connections when their token has expired, silent ones within a minute or two. For tokens that live as long as a session may; false: a token is for connecting."
  type        = bool
  default     = false
}

variable "connect_tickets" {
  description = "Connect with one-time tickets of a table of this module, and with nothing else. Sessions then last as their ticket says; enforce_token_expiry has no effect."
  type        = bool
  default     = false
}

variable "allowed_origins" {
  description = "Origins of pages that may connect, separated by commas. Empty: any."
  type        = string
  default     = ""
}

variable "python_runtime" {
  description = "Runtime of the functions; the build must match it."
  type        = string
  default     = "python3.13"
}

variable "architecture" {
  description = "Processor of the functions; the build must match it."
  type        = string
  default     = "arm64"

  validation {
    condition     = contains(["arm64", "x86_64"], var.architecture)
    error_message = "arm64 or x86_64."
  }
}

variable "callback_url" {
  description = "Address of the management API where it is not https://{domainName}/{stage}. Empty: taken from each connection."
  type        = string
  default     = ""
}

variable "domain_name" {
  description = "Custom domain name of the API. Clients then connect to wss://{domain_name}, and the functions post there. Empty: none."
  type        = string
  default     = ""

  validation {
    condition     = can(regex("^$|^[a-z0-9-]+(\\.[a-z0-9-]+)+$", var.domain_name))
    error_message = "Must be empty or a host name in small letters."
  }

  validation {
    condition     = var.domain_name == "" || var.certificate_arn != ""
    error_message = "A custom domain name needs a certificate: give certificate_arn too."
  }
}

variable "certificate_arn" {
  description = "Certificate of the custom domain name, in ACM in the region of the module."
  type        = string
  default     = ""
}

variable "hosted_zone_id" {
  description = "Hosted zone of Route 53 that gets the record of the custom domain name. Empty: make the record yourself; it leads to the output domain_target."
  type        = string
  default     = ""
}

variable "throttle_rate" {
  description = "Requests a second that this stage takes. The account and region have 10000 in all."
  type        = number
  default     = 2000

  validation {
    condition     = var.throttle_rate >= 1
    error_message = "At least 1: 0 lets nothing pass."
  }
}

variable "throttle_burst" {
  description = "Requests that this stage takes at once. The account and region have 5000 in all."
  type        = number
  default     = 1000

  validation {
    condition     = var.throttle_burst >= 1
    error_message = "At least 1: 0 lets nothing pass."
  }
}

variable "messages_concurrency" {
  description = "Messages that are worked on at once, at most; set aside for them of the account's concurrency. 0: no limit of its own."
  type        = number
  default     = 0
}

variable "sweeper_concurrency" {
  description = "Sweeps that may run at once, set aside of the account's concurrency; 1 is enough. 0: no limit of its own, and nothing set aside."
  type        = number
  default     = 0
}

variable "tags" {
  description = "Tags of every resource that takes some."
  type        = map(string)
  default     = {}
}

variable "log_retention_days" {
  description = "Days that logs are kept."
  type        = number
  default     = 14
}

variable "access_logs" {
  description = "Log every request at the API, without query strings. Needs the account's CloudWatch Logs role for API Gateway."
  type        = bool
  default     = false
}

variable "tracing" {
  description = "Trace the functions with X-Ray. API Gateway traces no WebSocket API, so each call of a function is a trace of its own."
  type        = bool
  default     = false
}

variable "point_in_time_recovery" {
  description = "Continuous backups of the connection table."
  type        = bool
  default     = false
}

variable "alarm_topic_arn" {
  description = "SNS topic that alarms are sent to. Empty: alarms only show in the console."
  type        = string
  default     = ""
}
