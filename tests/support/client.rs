//! A bare HTTP client: the tests of the support ask with it, and worlds on a
//! real cloud clean up with it. One request for each connection, no TLS.

use std::io::{self, BufReader, Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use serde_json::{Value, json};

use super::http::{head, line};

/// What came back.
#[derive(Debug)]
pub struct Reply {
    pub status: u16,
    head: Vec<String>,
    pub body: Vec<u8>,
}

impl Reply {
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers().filter(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value).next()
    }

    pub fn headers(&self) -> impl Iterator<Item = (&str, &str)> {
        self.head.iter().skip(1).filter_map(|line| line.split_once(':')).map(|(name, value)| (name, value.trim()))
    }

    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|e| panic!("not JSON ({e}): {}", self.text()))
    }
}

/// Sends one request to an `http://` address and reads the answer to its end.
/// A body that ends before its Content-Length is an error.
pub fn ask(method: &str, url: &str, headers: &[(&str, &str)], body: &[u8]) -> io::Result<Reply> {
    let rest = url.strip_prefix("http://").ok_or_else(|| io::Error::other("not an http:// address"))?;
    let (authority, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
    let mut stream = TcpStream::connect(authority)?;
    stream.set_read_timeout(Some(Duration::from_secs(60)))?;
    let path = if path.is_empty() { "/" } else { path };
    let mut text = format!("{method} {path} HTTP/1.1\r\nHost: {authority}\r\nConnection: close\r\n");
    if headers.iter().all(|(name, _)| !name.eq_ignore_ascii_case("accept")) {
        text += "Accept: */*\r\n";
    }
    for (name, value) in headers {
        text += &format!("{name}: {value}\r\n");
    }
    if headers.iter().all(|(name, _)| !name.eq_ignore_ascii_case("transfer-encoding")) {
        text += &format!("Content-Length: {}\r\n", body.len());
    }
    stream.write_all((text + "\r\n").as_bytes())?;
    stream.write_all(body)?;
    read(&mut BufReader::new(stream), method)
}

/// Reads the answer to a request of this method to its end.
pub fn read(from: &mut BufReader<TcpStream>, method: &str) -> io::Result<Reply> {
    let mut lines = head(from)?;
    if lines.first().is_some_and(|first| first.contains(" 100 ")) {
        lines = head(from)?;
    }
    let status = lines.first().and_then(|first| first.split(' ').nth(1)?.parse().ok());
    let mut reply = Reply { status: status.ok_or(io::ErrorKind::InvalidData)?, head: lines, body: Vec::new() };
    if method == "HEAD" || reply.status == 204 {
        return Ok(reply);
    }
    if reply.header("transfer-encoding").is_some() {
        loop {
            let size = u64::from_str_radix(line(from, 64)?.trim(), 16).map_err(io::Error::other)?;
            from.by_ref().take(size).read_to_end(&mut reply.body)?;
            line(from, 2)?;
            if size == 0 {
                return Ok(reply);
            }
        }
    }
    let length = reply.header("content-length").and_then(|text| text.parse::<u64>().ok());
    from.take(length.unwrap_or(u64::MAX)).read_to_end(&mut reply.body)?;
    if length.is_some_and(|length| length > reply.body.len() as u64) {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    Ok(reply)
}

/// A user (with the password and project that go with the name) and a token.
pub struct Session {
    pub token: String,
    /// The ID of the project.
    pub project: String,
    pub image_url: String,
}

impl Session {
    /// Signs in at `auth_url` as `name`, in the project of the same name. The
    /// image service is the catalogue's, or an old one `elsewhere`.
    pub fn sign_in(auth_url: &str, name: &str, elsewhere: Option<&str>) -> Session {
        let domain = json!({"id": "default"});
        let document = json!({"auth": {
            "identity": {"methods": ["password"],
                "password": {"user": {"name": name, "domain": domain, "password": "secret"}}},
            "scope": {"project": {"name": name, "domain": domain}}}});
        let body = document.to_string();
        let reply =
            ask("POST", &format!("{auth_url}/auth/tokens"), &[("Content-Type", "application/json")], body.as_bytes());
        let reply = reply.unwrap_or_else(|e| panic!("cannot sign in at {auth_url}: {e}"));
        assert_eq!(reply.status, 201, "cannot sign in at {auth_url} as {name}: {}", reply.text());
        let document = reply.json();
        let catalog = document["token"]["catalog"].as_array().unwrap();
        let image = catalog.iter().find(|service| service["type"] == "image").unwrap();
        let endpoints = image["endpoints"].as_array().unwrap();
        let public = endpoints.iter().find(|e| e["interface"] == "public" && e["region"] == "RegionOne").unwrap();
        let image_url = elsewhere.unwrap_or(public["url"].as_str().unwrap()).trim_end_matches('/').to_owned();
        let project = document["token"]["project"]["id"].as_str().unwrap().to_owned();
        let token = reply.header("x-subject-token").unwrap().to_owned();
        Session { project, token, image_url }
    }

    /// Asks the image service; `path` begins with `/v2`.
    pub fn ask(&self, method: &str, path: &str, headers: &[(&str, &str)], body: &[u8]) -> io::Result<Reply> {
        let mut all = vec![("X-Auth-Token", self.token.as_str())];
        all.extend_from_slice(headers);
        ask(method, &format!("{}{path}", self.image_url), &all, body)
    }

    /// As [`Session::ask`], with a JSON body.
    pub fn json(&self, method: &str, path: &str, body: &Value) -> Reply {
        let media = match method {
            "PATCH" => "application/openstack-images-v2.1-json-patch",
            _ => "application/json",
        };
        self.ask(method, path, &[("Content-Type", media)], body.to_string().as_bytes()).unwrap()
    }

    /// Every image this user can list, hidden ones too, whose name ends so.
    pub fn images_ending(&self, suffix: &str) -> Vec<Value> {
        let mut found = Vec::new();
        // An old service refuses the first, and takes the last for a property, which no image has.
        let all = "/v2/images?limit=1000&visibility=all";
        let all = if self.ask("GET", all, &[], b"").unwrap().status == 400 { "/v2/images?limit=1000" } else { all };
        for hidden in ["", "&os_hidden=true"] {
            let mut next = Some(format!("{all}{hidden}"));
            while let Some(path) = next {
                let page = self.ask("GET", &path, &[], b"").unwrap().json();
                found.extend(page["images"].as_array().unwrap().iter().cloned());
                next = page["next"].as_str().map(str::to_owned);
            }
        }
        found.retain(|image| image["name"].as_str().is_some_and(|name| name.ends_with(suffix)));
        found
    }

    /// The names of the metadata definition namespaces that end so.
    pub fn namespaces_ending(&self, suffix: &str) -> Vec<String> {
        let page = self.ask("GET", "/v2/metadefs/namespaces?limit=1000", &[], b"").unwrap().json();
        let names =
            page["namespaces"].as_array().unwrap().iter().map(|one| one["namespace"].as_str().unwrap().to_owned());
        names.filter(|name| name.ends_with(suffix)).collect()
    }
}
