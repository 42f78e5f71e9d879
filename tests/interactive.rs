//! `rimg` without a command: a prompt, or a batch of lines.

use crate::support::{Stdin, World, each_service};

fn sign_ins(world: &World) -> usize {
    world.identity().asked("POST", "/v3/auth/tokens").len()
}

#[test]
fn a_batch_runs_each_line_with_one_sign_in() {
    let world = World::new();
    world.given_image("a", b"data");
    let before = sign_ins(&world);
    let lines = "# what there is\nimage list -f value -c Name\n\n  image set a --name 'b c'\nrimg image list -f value -c Name\nexit\nimage delete 'b c'\n";
    world.rimg::<&str>([]).stdin(Stdin::Bytes(lines.into())).run().ok().stdout_is("a\nb c\n").stderr_is("");
    assert_eq!(sign_ins(&world) - before, 1);
}

#[test]
fn a_batch_says_which_line_failed_and_ends_with_its_code() {
    each_service(|world| {
        let name = world.name("i");
        world.given_image(&name, b"data");
        let lines = format!("image show nope\nimage list --bad\nimage list --name {name} -f value -c Status\n");
        let run = |args: &[&str]| world.rimg(args).stdin(Stdin::Bytes(lines.clone().into())).run();
        run(&[])
            .code(1)
            .stdout_is("active\n")
            .stderr_has("`nope`")
            .stderr_has("note: that was line 1\n")
            .stderr_has("line 2");
        run(&["--stop-on-error"]).code(1).stdout_is("").stderr_has("line 1").stderr_lacks("line 2");
    });
}

#[test]
fn a_batch_is_never_image_data() {
    each_service(|world| {
        let name = world.name("i");
        let lines = format!("image create {name} -f value -c status\nimage create {name} --file -\n");
        let outcome = world.rimg::<&str>([]).stdin(Stdin::Bytes(lines.into())).run();
        outcome.code(2).stdout_is("queued\n").stderr_has("stdin has the commands");
        assert_eq!(world.all_images().len(), 1);
    });
}

#[test]
fn a_line_may_be_for_another_cloud() {
    each_service(|world| {
        let name = world.name("i");
        world.given_image(&name, b"data");
        let list = format!("image list --name {name} -f value -c Name");
        let lines = format!("{list}\n--os-cloud devstack-other {list}\n{list}\n");
        world.rimg::<&str>([]).stdin(Stdin::Bytes(lines.into())).run().ok().stdout_is(&format!("{name}\n{name}\n"));
    });
}

#[test]
fn nothing_on_stdin_is_asked_for_with_the_help() {
    World::new().rimg::<&str>([]).stdin(Stdin::Bytes(Vec::new())).run().ok().stdout_has("Commands:");
}

#[test]
fn the_prompt_completes_and_goes_on_after_errors() {
    let world = World::new();
    world.given_image("cirros-0.6", b"data");
    let before = sign_ins(&world);
    let mut terminal = world.rimg::<&str>([]).terminal();
    terminal.expect("(rimg) ").type_line("image show nope");
    terminal.expect("there is no image").expect("(rimg) ");
    // Words, then the name of an image, which only the cloud knows.
    terminal.type_keys("image sho\tcir\t-f value -c name\n").expect("\ncirros-0.6\r\n").expect("(rimg) ");
    // A line that is thrown away.
    terminal.type_keys("image delete cirros-0.6\x03").expect("(rimg) ");
    terminal.type_line("image list -f value -c Name").expect("\ncirros-0.6\r\n").expect("(rimg) ");
    terminal.type_line("--os-password hunter2 image list -f value -c ID").expect("(rimg) ");
    terminal.type_keys("\x04");
    terminal.wait().code(0);
    let history = std::fs::read_to_string(world.home.join(".local/share/rimg/history")).unwrap();
    assert!(history.contains("image show nope") && !history.contains("hunter2"), "{history}");
    // Once for all, and with the wrong password, which is looked into.
    assert_eq!(sign_ins(&world) - before, 3);
}

#[test]
fn the_prompt_ends_when_it_is_told_to() {
    let world = World::new();
    let mut terminal = world.rimg::<&str>([]).terminal();
    terminal.expect("(rimg) ").type_line("quit");
    terminal.wait().code(0);
    let mut terminal = world.rimg::<&str>([]).terminal();
    terminal.expect("(rimg) ").signal("TERM");
    terminal.wait().code(143);
}

#[test]
fn the_prompt_lists_what_can_follow() {
    let world = World::new();
    world.given_image("cirros-0.6", b"data");
    world.given_image("cirros-0.7", b"data");
    let mut terminal = world.rimg::<&str>([]).terminal();
    // What several have in common is written, and none of them is chosen.
    terminal.expect("(rimg) ").type_keys("image delete \t").expect("\ncirros-0.7  cirros-0.6\r\n");
    terminal.expect("(rimg) image delete cirros-0.").type_keys("\x03").expect("(rimg) ");
    terminal
        .type_keys("image st\t")
        .expect("\nstage   stores\r\n")
        .expect("(rimg) image st")
        .type_keys("\x03")
        .expect("(rimg) ");
    terminal.type_keys("image show cirros-0.6 --hu\t").expect("--human-readable ").type_keys("\x03").expect("(rimg) ");
    terminal.type_keys("image list -c Di\t").expect("'Disk Format' ");
    terminal.type_line("--long -f value --name cirros-0.7").expect("\nraw\r\n").expect("(rimg) ");
    terminal.type_line("image show nope").expect("there is no image").expect("(rimg) ").type_line("exit");
    terminal.wait().code(0);
    assert_eq!(world.all_of("cirros-0.6").len() + world.all_of("cirros-0.7").len(), 2);
}

#[test]
fn bytes_that_are_no_text_do_not_end_the_prompt() {
    let world = World::new();
    world.given_image("i", b"data");
    let mut terminal = world.rimg::<&str>([]).terminal();
    terminal.expect("(rimg) ").type_bytes(b"image show \xff");
    terminal.expect("error: what was typed is not UTF-8\r\nhint: type the line again\r\n").expect("(rimg) ");
    terminal.type_line("image list -f value -c Name").expect("\ni\r\n").expect("(rimg) ").type_line("exit");
    terminal.wait().code(0);
}
