//! The page that shows the OpenAPI document: Swagger UI from inside the binary, so it needs no internet.

use std::sync::Arc;

use http::HeaderValue;
use http::header::{CACHE_CONTROL, CONTENT_ENCODING, CONTENT_SECURITY_POLICY};
use utoipa_swagger_ui::Config;

use crate::problem::ApiError;
use crate::reply::Reply;

/// Addresses are relative, so that the page also works below another path.
const PAGE: &str = r#"<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Campaign Lifecycle Service: API</title>
<link rel="stylesheet" href="docs/swagger-ui.css">
<link rel="icon" href="docs/favicon-32x32.png">
</head>
<body>
<div id="swagger-ui"></div>
<script src="docs/swagger-ui-bundle.js"></script>
<script src="docs/start.js"></script>
</body>
</html>
"#;

const START: &str = r##"window.ui = SwaggerUIBundle({
  url: "openapi.json",
  dom_id: "#swagger-ui",
  deepLinking: true,
  displayOperationId: true,
  docExpansion: "list",
  validatorUrl: null,
});
"##;

/// Swagger UI sets styles from its script and draws its icons from `data:`.
const POLICY: HeaderValue = HeaderValue::from_static(
    "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; \
     connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
);

/// The page.
pub(crate) fn page() -> Reply {
    Reply::content("text/html; charset=utf-8", PAGE).with(CONTENT_SECURITY_POLICY, POLICY)
}

/// A part of the page.
pub(crate) fn file(name: &str) -> Result<Reply, ApiError> {
    let content_type = match name {
        "start.js" => return Ok(Reply::content("text/javascript; charset=utf-8", START)),
        "swagger-ui.css" => "text/css; charset=utf-8",
        "swagger-ui-bundle.js" => "text/javascript; charset=utf-8",
        "favicon-32x32.png" => "image/png",
        _ => return Err(ApiError::no_such_path()),
    };
    let file = utoipa_swagger_ui::serve(name, Arc::new(Config::from("openapi.json")))
        .map_err(|error| ApiError::internal(error.as_ref()))?
        .ok_or_else(ApiError::no_such_path)?;
    let reply = Reply::content(content_type, file.bytes.into_owned())
        .with(CACHE_CONTROL, HeaderValue::from_static("public, max-age=86400"));
    // There is no uncompressed copy: who asks for this page is a browser, and they all read gzip.
    Ok(if file.gzpipped { reply.with(CONTENT_ENCODING, HeaderValue::from_static("gzip")) } else { reply })
}
