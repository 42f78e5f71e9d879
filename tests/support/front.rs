//! What stands before an image service so that it offers Images API v1 and
//! nothing else, and can be watched and broken as the service of the tests is:
//! what is asked goes on to the service, which sees a client that goes go.

use std::io::{self, BufReader, Write};
use std::net::TcpStream;

use serde_json::json;

use super::client;
use super::http::{Answer, Body, Request, raw};

/// A handler for [`super::Server::start`], before the service at `url`.
pub fn before(url: &str) -> impl Fn(&Request, &mut Body) -> Answer + Send + Sync + 'static {
    let service = url.trim_start_matches("http://").trim_end_matches('/').to_owned();
    move |request, body| match request.path.as_str() {
        "/" => Answer::json(
            300,
            &json!({"versions": [
                {"id": "v1.1", "status": "CURRENT", "links": []}, {"id": "v1.0", "links": []}
            ]}),
        ),
        // Of the two who talk through this one is gone.
        _ => pass(&service, request, body).unwrap_or_else(|_| Answer::status(502)),
    }
}

fn pass(service: &str, request: &Request, body: &mut Body) -> io::Result<Answer> {
    let mut to = TcpStream::connect(service)?;
    let query = if request.query.is_empty() { String::new() } else { format!("?{}", request.query) };
    let mut head = format!("{} {}{query} HTTP/1.1\r\nConnection: close\r\n", request.method, request.path);
    let kept = |name: &str| !["connection", "expect"].contains(&name.to_lowercase().as_str());
    for (name, value) in request.headers().filter(|(name, _)| kept(name)) {
        head += &format!("{name}: {value}\r\n");
    }
    to.write_all(&raw(&(head + "\r\n")))?;
    let chunked = body.is_chunked();
    // A service that has heard enough has an answer all the same.
    let mut listens = true;
    while let Some(piece) = body.next()? {
        if listens {
            let size = if chunked { format!("{:x}\r\n", piece.len()) } else { String::new() };
            let end: &[u8] = if chunked { b"\r\n" } else { b"" };
            listens = [size.as_bytes(), piece, end].iter().all(|part| to.write_all(part).is_ok());
        }
    }
    if chunked && listens {
        let _ = to.write_all(b"0\r\n\r\n");
    }
    let reply = client::read(&mut BufReader::new(to), &request.method)?;
    let ours = ["connection", "content-length", "transfer-encoding", "x-openstack-request-id"];
    let headers = reply.headers().filter(|(name, _)| !ours.contains(&name.to_lowercase().as_str()));
    let answer = headers.fold(Answer::status(reply.status), |answer, (name, value)| answer.header(name, value));
    Ok(answer.body(reply.body.clone()))
}
