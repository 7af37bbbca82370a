// The functions of system.py, for a server that runs Node.js in its own process.
exports.authorizer = async (event) => ({
  principalId: "bench",
  policyDocument: {
    Version: "2012-10-17",
    Statement: [
      {
        Action: "execute-api:Invoke",
        Effect: event.queryStringParameters.token === "bench" ? "Allow" : "Deny",
        Resource: event.methodArn,
      },
    ],
  },
});
exports.connections = async () => ({ statusCode: 200 });
exports.echo = async (event) => ({ statusCode: 200, body: event.body });
exports.who = async (event) => ({ statusCode: 200, body: event.requestContext.connectionId });
