//! A token that is refused while rimg works: it signs in anew, once, and goes on.

use std::collections::BTreeSet;

use serde_json::json;

use crate::support::{Answer, Stdin, World};

fn sign_ins(world: &World) -> usize {
    world.identity().asked("POST", "/v3/auth/tokens").len()
}

fn unauthorized() -> Answer {
    Answer::json(401, &json!({"error": {"code": 401, "message": "Unauthorized", "title": "Unauthorized"}}))
}

/// The tokens that the image service was shown with these requests.
fn shown(world: &World, method: &str, path: &str) -> Vec<String> {
    let asked = world.images().asked(method, path);
    asked.iter().map(|one| one.request.header("x-auth-token").unwrap().to_owned()).collect()
}

#[test]
fn in_the_midst_of_a_list() {
    let world = World::new();
    for name in ["a", "b", "c"] {
        world.given_image(name, b"data");
    }
    let (before, prepared) = (sign_ins(&world), shown(&world, "GET", "/v2/images").len());
    // Three pages of one image each.
    let cut = |page: &mut serde_json::Value| {
        let images = page["images"].as_array_mut().unwrap();
        images.truncate(1);
        page["next"] = match images.first() {
            Some(last) => format!("/v2/images?marker={}", last["id"].as_str().unwrap()).into(),
            None => serde_json::Value::Null,
        };
    };
    world.images().on("GET", "/v2/images").edit(cut);
    world.images().on("GET", "/v2/images").answer(unauthorized);
    world.images().on("GET", "/v2/images").always().edit(cut);
    let listed = world.run(["image", "list", "-f", "value", "-c", "Name"]);
    let names: BTreeSet<String> = listed.ok().stderr_is("").stdout().lines().map(str::to_owned).collect();
    assert_eq!(names.len(), 3, "{names:?}");
    assert_eq!(sign_ins(&world) - before, 2);
    let tokens = shown(&world, "GET", "/v2/images").split_off(prepared);
    assert_eq!(tokens[0], tokens[1]);
    assert!(tokens[2..].iter().all(|token| *token == tokens[2] && *token != tokens[0]));
}

#[test]
fn when_an_image_is_made() {
    let world = World::new();
    world.images().on("POST", "/v2/images").answer(unauthorized);
    let file = world.file("x.img", b"data");
    let name = world.name("i");
    let line = ["image", "create", &name, "--file", file.to_str().unwrap(), "-f", "value", "-c", "status"];
    world.run(line).ok().stdout_is("active\n");
    assert_eq!(world.all_images().len(), 1);
    let bodies: Vec<_> = world.images().asked("POST", "/v2/images").iter().map(|one| one.body.clone()).collect();
    assert!(bodies.len() == 2 && bodies[0] == bodies[1] && !bodies[0].is_empty());
    assert_eq!(world.identity().asked("POST", "/v3/auth/tokens").iter().filter(|one| one.status == 201).count(), 3);
}

#[test]
fn for_several_at_once_there_is_one_sign_in() {
    let world = World::new();
    let ids: Vec<String> = (0..6)
        .map(|number| world.given_image(&world.name(&format!("i{number}")), b"data")["id"].as_str().unwrap().to_owned())
        .collect();
    world.run(["image", "list"]).ok();
    world.expire_tokens();
    let before = sign_ins(&world);
    let line = ["image", "delete"].map(str::to_owned).into_iter().chain(ids);
    world.run(line).ok().stderr_is("");
    assert_eq!(sign_ins(&world) - before, 1);
    assert!(world.all_images().is_empty());
}

#[test]
fn a_second_refusal_is_the_answer() {
    let world = World::new();
    world.images().on("GET", "/v2/images").times(2).answer(unauthorized);
    world.run(["image", "list"]).code(1).stdout_is("").stderr_is(
        "error: Unauthorized (HTTP 401 unauthorized)\n\
         hint: the service refused a new token too: ask who runs the cloud whether its services agree\n",
    );
    assert_eq!((sign_ins(&world), world.images().asked("GET", "/v2/images").len()), (2, 2));
}

#[test]
fn a_sign_in_that_is_refused_is_not_tried_by_each() {
    let world = World::new();
    world.run(["image", "list"]).ok();
    world.expire_tokens();
    let before = sign_ins(&world);
    world.identity().on("POST", "/v3/auth/tokens").always().answer(unauthorized);
    let deleted = world.run(["image", "delete", "a", "b", "c", "d"]);
    deleted.code(1).stderr_has("cannot delete `d`: Keystone did not let us in");
    // The sign-in, and the look at what was wrong with it.
    assert_eq!(sign_ins(&world) - before, 2);
}

#[test]
fn what_was_given_cannot_be_renewed() {
    let world = World::new();
    let image = world.images().url();
    let token = world.session("demo").token;
    let run = |variables: &[(&str, &str)]| {
        let _ = std::fs::remove_file(world.clouds_yaml());
        let run = world.rimg(["image", "list"]).no_env("OS_CLOUD").env("OS_AUTH_URL", world.auth_url());
        variables.iter().fold(run, |run, (name, value)| run.env(name, value)).run()
    };
    let new_token = "hint: the token has expired or was withdrawn: get a new token and give it with `--os-token`";
    let before = sign_ins(&world);
    run(&[("OS_TOKEN", "stale-token"), ("OS_ENDPOINT", &image)]).code(1).stderr_has(new_token);
    assert_eq!(world.images().asked("GET", "/v2/images").len(), 1);
    let refused = |variables: &[(&str, &str)], hint: &str| {
        world.images().on("GET", "/v2/images").answer(unauthorized);
        run(variables).code(1).stderr_has("(HTTP 401 unauthorized)\n").stderr_has(hint);
    };
    refused(&[("OS_ENDPOINT", &image), ("OS_AUTH_TYPE", "none")], "hint: auth type `none` shows the service nothing");
    let user = [("OS_USERNAME", "demo"), ("OS_PASSWORD", "secret"), ("OS_PROJECT_NAME", "demo")];
    let basic = [&user[..], &[("OS_ENDPOINT", &image), ("OS_AUTH_TYPE", "http_basic")]].concat();
    refused(&basic, "hint: check the user and the password");
    assert_eq!(sign_ins(&world), before);
    // These sign in, once.
    refused(&[("OS_TOKEN", &token), ("OS_PROJECT_NAME", "demo")], new_token);
    let totp = [("OS_AUTH_TYPE", "v3totp"), ("OS_PASSCODE", crate::support::keystone::PASSCODE), user[0], user[2]];
    refused(&totp, "hint: the passcode was good only once: run the command again with a new one");
    assert_eq!(sign_ins(&world) - before, 2);
}

#[test]
fn in_cleaning_up_too() {
    let world = World::new();
    world.images().on("PUT", "/v2/images/*/file").answer(|| Answer::status(400));
    world.images().on("DELETE", "/v2/images/*").answer(unauthorized);
    let file = world.file("x.img", b"data");
    let name = world.name("i");
    world
        .run(["image", "create", &name, "--file", file.to_str().unwrap()])
        .code(1)
        .stderr_lacks("could not be deleted");
    assert!(world.all_images().is_empty());
}

#[test]
fn where_projects_are_looked_up() {
    let world = World::new();
    world.run_as("admin", ["image", "list"]).ok();
    world.expire_tokens();
    let before = sign_ins(&world);
    world.run_as("admin", ["image", "list", "--project", "demo"]).ok().stderr_is("");
    assert_eq!(sign_ins(&world) - before, 1);
}

#[test]
fn nobody_is_asked_a_second_time() {
    let world = World::new();
    let text = std::fs::read_to_string(world.clouds_yaml()).unwrap().replace("      password: secret\n", "");
    std::fs::write(world.clouds_yaml(), text).unwrap();
    world.given_image("cirros", b"data");
    let before = sign_ins(&world);
    let mut terminal = world.rimg::<&str>([]).terminal();
    terminal.expect("(rimg) ").type_line("image list -f value -c Name");
    terminal.expect("Password: ").type_line("secret").expect("\ncirros\r\n").expect("(rimg) ");
    world.expire_tokens();
    terminal.type_line("image list -f value -c Name").expect("\ncirros\r\n").expect("(rimg) ");
    terminal.type_line("exit");
    terminal.wait().code(0);
    assert_eq!(sign_ins(&world) - before, 2);
}

#[test]
fn a_batch_goes_on() {
    let world = World::new();
    world.given_image("cirros", b"data");
    world.images().on("GET", "/v2/images").nth(2).answer(unauthorized);
    let lines = "image list -f value -c Name\n".repeat(3);
    let outcome = world.rimg::<&str>([]).stdin(Stdin::Bytes(lines.into())).run();
    outcome.ok().stdout_is("cirros\ncirros\ncirros\n").stderr_is("");
}

#[test]
fn a_new_token_is_not_shown_to_another_host() {
    let world = World::new();
    let elsewhere = World::new();
    let there = format!("{}/v2/images", elsewhere.images().url());
    world.images().on("GET", "/v2/images").redirect(307, &there);
    world.run(["image", "list"]).code(1).stderr_has("(HTTP 401 unauthorized)\n");
    assert_eq!(sign_ins(&world), 1);
    let asked = elsewhere.images().asked("GET", "/v2/images");
    assert!(asked.len() == 1 && asked[0].request.header("x-auth-token").is_none());
}
