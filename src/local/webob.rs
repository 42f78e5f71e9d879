//! The pages that tell a client of a failure: HTML, JSON or plain text around
//! one explanation, whichever the client accepts. They are those of webob, the
//! library that Glance leaves them to (<https://docs.pylonsproject.org/projects/webob/>).

use std::borrow::Cow;

use bytes::Bytes;
use http::header::{ACCEPT, CONTENT_TYPE, HeaderMap, HeaderValue};
use http::{Method, Response, StatusCode};
use hyper::ext::ReasonPhrase;

use super::answer::Payload;
use super::failure::Failure;

impl Failure {
    /// The answer to a request of this method and these headers.
    pub fn answer(&self, method: &Method, asked: &HeaderMap) -> Response<Payload> {
        // Of a HEAD there is only this to see, and webob does not look further.
        let form = if method == Method::HEAD { Form::Html } else { Form::accepted(asked) };
        let body = if method == Method::HEAD { String::new() } else { form.render(self, method, asked) };
        let mut answer = Response::new(Payload::from(Bytes::from(body)));
        *answer.status_mut() = self.status;
        // The two that were renamed since webob wrote them down.
        if let Some(old) = old_title(self.status) {
            answer.extensions_mut().insert(ReasonPhrase::from_static(old.as_bytes()));
        }
        let headers = answer.headers_mut();
        headers.extend(self.headers.iter().cloned());
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(form.content_type()));
        answer
    }

    fn title(&self) -> &'static str {
        old_title(self.status).or(self.status.canonical_reason()).unwrap_or("Error")
    }

    /// The text inside the answer, its parts through `escape`.
    fn text(&self, method: &Method, asked: &HeaderMap, escape: fn(&str) -> Cow<'_, str>) -> String {
        let detail = escape(&self.detail);
        match self.status {
            StatusCode::METHOD_NOT_ALLOWED if !self.explanation.is_empty() => escape(&self.explanation).into_owned(),
            StatusCode::METHOD_NOT_ALLOWED => {
                format!("The method {method} is not allowed for this resource. <br /><br />\n{detail}")
            }
            StatusCode::UNSUPPORTED_MEDIA_TYPE => {
                let given = asked.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
                let given = escape(given);
                format!("The request media type {given} is not supported by this server.\n<br /><br />\n{detail}")
            }
            _ => format!("{}<br /><br />\n{detail}\n\n", escape(&self.explanation)),
        }
    }
}

fn old_title(status: StatusCode) -> Option<&'static str> {
    match status {
        StatusCode::PAYLOAD_TOO_LARGE => Some("Request Entity Too Large"),
        StatusCode::RANGE_NOT_SATISFIABLE => Some("Request Range Not Satisfiable"),
        _ => None,
    }
}

/// The three forms that webob gives an error.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Form {
    Html,
    Json,
    Plain,
}

impl Form {
    /// The form that the client likes best; HTML when it says that it does not
    /// care, plain when it says nothing at all.
    fn accepted(asked: &HeaderMap) -> Form {
        let mut html = None;
        let mut json = None;
        for value in asked.get_all(ACCEPT) {
            for range in value.to_str().unwrap_or_default().split(',') {
                let mut parts = range.split(';').map(str::trim);
                let kind = parts.next().unwrap_or_default().to_ascii_lowercase();
                let weight = parts
                    .find_map(|part| part.strip_prefix("q=").or(part.strip_prefix("Q=")))
                    .and_then(|weight| weight.parse::<f32>().ok())
                    .unwrap_or(1.0);
                // The more exact range wins over the wider, whatever their order.
                let say = |offer: &mut Option<(u8, f32)>, exact: &str, wide: &str| {
                    let exactness = match kind.as_str() {
                        kind if kind == exact => 3,
                        kind if kind == wide => 2,
                        "*/*" => 1,
                        _ => return,
                    };
                    if offer.is_none_or(|(known, _)| exactness > known) {
                        *offer = Some((exactness, weight));
                    }
                };
                say(&mut html, "text/html", "text/*");
                say(&mut json, "application/json", "application/*");
            }
        }
        let weight = |offer: Option<(u8, f32)>| offer.map_or(0.0, |(_, weight)| weight);
        match (weight(html), weight(json)) {
            (html, json) if html <= 0.0 && json <= 0.0 => Form::Plain,
            (html, json) if json > html => Form::Json,
            _ => Form::Html,
        }
    }

    fn content_type(self) -> &'static str {
        match self {
            Form::Html => "text/html; charset=UTF-8",
            Form::Json => "application/json",
            Form::Plain => "text/plain; charset=UTF-8",
        }
    }

    fn render(self, failure: &Failure, method: &Method, asked: &HeaderMap) -> String {
        let status = format!("{} {}", failure.status.as_u16(), failure.title());
        match self {
            Form::Html => {
                let body = failure.text(method, asked, escape_html);
                format!(
                    "<html>\n <head>\n  <title>{status}</title>\n </head>\n <body>\n  <h1>{status}</h1>\n  \
                     {body}\n </body>\n</html>"
                )
            }
            Form::Json => {
                let message = failure.text(method, asked, as_it_is);
                serde_json::json!({"message": message, "code": status, "title": failure.title()}).to_string()
            }
            Form::Plain => {
                format!("{status}\n\n{}", without_tags(&failure.text(method, asked, as_it_is)))
            }
        }
    }
}

fn as_it_is(text: &str) -> Cow<'_, str> {
    Cow::Borrowed(text)
}

fn escape_html(text: &str) -> Cow<'_, str> {
    if text.is_ascii() && !text.contains(['&', '<', '>', '"', '\'']) {
        return Cow::Borrowed(text);
    }
    let mut escaped = String::with_capacity(text.len() + 16);
    for letter in text.chars() {
        match letter {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#x27;"),
            letter if letter.is_ascii() => escaped.push(letter),
            other => escaped.push_str(&format!("&#{};", u32::from(other))),
        }
    }
    Cow::Owned(escaped)
}

/// HTML as plain text: webob takes away all that looks like a tag, also where
/// it is part of a reason.
fn without_tags(html: &str) -> String {
    let html = html.replace('\n', " ").replace('\r', "");
    let mut text = String::with_capacity(html.len());
    let mut rest = html.as_str();
    while let Some(at) = rest.find('<') {
        let (before, tag) = rest.split_at(at);
        text.push_str(before);
        let Some(end) = tag.find('>') else {
            text.push_str(tag);
            return text;
        };
        if tag.get(..3).is_some_and(|start| start.eq_ignore_ascii_case("<br")) {
            text.push('\n');
        }
        rest = &tag[end + 1..];
    }
    text + rest
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn asked(accept: &'static str) -> HeaderMap {
        [(ACCEPT, HeaderValue::from_static(accept))].into_iter().collect()
    }

    #[test]
    fn the_form_is_the_one_that_the_client_accepts() {
        assert_eq!(Form::accepted(&HeaderMap::new()), Form::Plain);
        for (accept, form) in [
            ("*/*", Form::Html),
            ("application/json", Form::Json),
            ("application/*;q=0.5, text/plain", Form::Json),
            ("text/html;q=0.4, application/json;q=0.9", Form::Json),
            ("application/json;q=0, */*", Form::Html),
            ("text/plain", Form::Plain),
            ("application/json, text/html", Form::Html),
        ] {
            assert_eq!(Form::accepted(&asked(accept)), form, "{accept}");
        }
    }

    #[test]
    fn an_explanation_cannot_bring_markup_with_it() {
        let failure = Failure::bad_request("<script>'");
        let html = Form::Html.render(&failure, &Method::GET, &HeaderMap::new());
        assert!(html.contains("  &lt;script&gt;&#x27;<br /><br />\n\n\n\n </body>"), "{html}");
        let json = Form::Json.render(&failure, &Method::GET, &HeaderMap::new());
        assert_eq!(json, r#"{"message":"<script>'<br /><br />\n\n\n","code":"400 Bad Request","title":"Bad Request"}"#);
    }

    #[test]
    fn each_form_writes_what_is_beyond_ascii_in_its_way() {
        let failure = Failure::not_found("No image found with ID <x>größe 日");
        let html = Form::Html.render(&failure, &Method::GET, &HeaderMap::new());
        assert!(html.contains("ID &lt;x&gt;gr&#246;&#223;e &#26085;<br /><br />"), "{html}");
        let plain = Form::Plain.render(&failure, &Method::GET, &HeaderMap::new());
        assert_eq!(plain, "404 Not Found\n\nNo image found with ID größe 日\n\n   ");
    }

    #[test]
    fn statuses_with_their_own_words_name_what_was_sent() {
        let failure = Failure::method_not_allowed("GET");
        let html = Form::Html.render(&failure, &Method::PUT, &HeaderMap::new());
        assert!(html.contains("The method PUT is not allowed for this resource. <br /><br />\n\n </body>"), "{html}");
        let html = Form::Html.render(&Failure::not_permitted("Why.", "GET"), &Method::PUT, &HeaderMap::new());
        assert!(html.contains("</h1>\n  Why.\n </body>"), "{html}");
        let headers = [(CONTENT_TYPE, HeaderValue::from_static("text/plain"))].into_iter().collect();
        let json = Form::Json.render(&Failure::unsupported_media_type("why"), &Method::PUT, &headers);
        assert!(
            json.contains(r"The request media type text/plain is not supported by this server.\n<br /><br />\nwhy")
        );
    }

    #[test]
    fn what_happened_inside_stays_inside() {
        let failure = Failure::internal("disk on fire");
        assert_eq!(failure.cause(), "disk on fire");
        assert!(!Form::Html.render(&failure, &Method::GET, &HeaderMap::new()).contains("fire"));
    }
}
