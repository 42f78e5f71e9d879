//! Errors, in the words and forms of Glance.

use serde_json::json;

use crate::support::http::{Answer, Request, reason};

/// An error; its form depends on what the client accepts.
pub(super) fn error(status: u16, explanation: &str, detail: &str) -> Answer {
    Answer { problem: Some((explanation.to_owned(), detail.to_owned())), ..Answer::status(status) }
}

/// The page that WebOb, which Glance is made with, makes of an error.
pub fn page(status: u16, explanation: &str, detail: &str) -> String {
    let title = format!("{status} {}", reason(status));
    let entities = [('&', "&amp;"), ('<', "&lt;"), ('>', "&gt;"), ('"', "&quot;"), ('\'', "&#x27;")];
    let escape = |text: &str| entities.iter().fold(text.to_owned(), |text, (from, to)| text.replace(*from, to));
    let (explanation, detail) = (escape(explanation), escape(detail));
    format!(
        "<html>\n <head>\n  <title>{title}</title>\n </head>\n <body>\n  <h1>{title}</h1>\n  {explanation}<br /><br />\n\
         {detail}\n\n\n </body>\n</html>"
    )
}

/// HTML, JSON or plain text, as the client accepts.
pub(super) fn in_form(request: &Request, mut answer: Answer) -> Answer {
    let Some((explanation, detail)) = answer.problem.take() else { return answer };
    let (status, title) = (answer.status, reason(answer.status));
    let accept = request.header("accept").unwrap_or_default();
    let (media, body) = if accept.contains("html") || accept.contains("*/*") {
        ("text/html; charset=UTF-8", page(status, &explanation, &detail))
    } else if accept.contains("application/json") {
        let message = format!("{explanation}<br /><br />\n{detail}\n\n");
        let value = json!({"message": message, "code": format!("{status} {title}"), "title": title});
        ("application/json", value.to_string())
    } else {
        ("text/plain; charset=UTF-8", format!("{status} {title}\n\n{explanation}\n\n {detail}  "))
    };
    answer.header("Content-Type", media).body(body)
}

pub(super) fn denied(detail: &str) -> Answer {
    error(403, "Access was denied to this resource.", detail)
}

pub(super) fn not_allowed(action: &str) -> Answer {
    error(403, &format!("You are not authorized to complete {action} action."), "")
}

pub(super) fn unsupported(media: &str, detail: &str) -> Answer {
    error(415, &format!("The request media type {media} is not supported by this server.\n"), detail)
}

pub(super) fn not_found() -> Answer {
    error(404, "The resource could not be found.", "")
}

pub(super) fn no_image(id: &str) -> Answer {
    error(404, &format!("No image found with ID {id}"), "")
}

pub(super) fn no_property(key: &str) -> Answer {
    let explanation = "There was a conflict when trying to complete your request.";
    error(409, explanation, &format!("Property {key} does not exist."))
}
