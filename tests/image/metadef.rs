//! `rimg image metadef …`, `image schema show`

use serde_json::{Value, json};

use crate::support::{Outcome, Stdin, World, each_whole_service};

/// Runs `rimg image metadef …` as admin: by default nobody else defines metadata.
fn admin<const N: usize>(world: &World, args: [&str; N]) -> Outcome {
    world.run_as("admin", ["image", "metadef"].into_iter().chain(args))
}

/// What the service itself says; `path` is what follows `/v2/metadefs/namespaces/`.
fn said(world: &World, path: &str) -> Value {
    let reply = world.session("admin").ask("GET", &format!("/v2/metadefs/namespaces/{path}"), &[], b"").unwrap();
    assert_eq!(reply.status, 200, "{}", reply.text());
    reply.json()
}

/// A namespace that has something of everything, made without rimg.
fn given_namespace(world: &World, more: &Value) -> String {
    let name = world.name("ns");
    let mut namespace = json!({
        "namespace": name, "display_name": "Full", "description": "about", "visibility": "public",
        "resource_type_associations": [
            {"name": "OS::Glance::Image", "prefix": "hw_"},
            {"name": "OS::Nova::Flavor", "properties_target": "x"}],
        "properties": {
            "one": {"title": "One", "type": "integer", "minimum": 1, "maximum": 5, "readonly": true},
            "list": {"title": "List", "type": "array", "items": {"type": "string"}, "uniqueItems": true,
                "minItems": 1, "maxItems": 3, "additionalItems": false}},
        "objects": [
            {"name": "thing", "description": "a thing", "required": ["q"],
                "properties": {"q": {"title": "Q", "type": "string", "maxLength": 4}}},
            {"name": "other"}],
        "tags": [{"name": "red"}]});
    namespace.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    let made = world.session("admin").json("POST", "/v2/metadefs/namespaces", &namespace);
    assert_eq!(made.status, 201, "{}", made.text());
    name
}

/// The texts in a list, sorted.
fn texts(list: &Value) -> Vec<&str> {
    let mut texts: Vec<&str> = list.as_array().unwrap().iter().map(|one| one.as_str().unwrap()).collect();
    texts.sort_unstable();
    texts
}

/// The names in a list, sorted: services have no order of their own. An empty list may be missing.
fn names(list: &Value) -> Vec<&str> {
    let mut names: Vec<&str> = list.as_array().into_iter().flatten().map(|one| one["name"].as_str().unwrap()).collect();
    names.sort_unstable();
    names
}

#[test]
fn a_namespace_is_created_listed_and_deleted() {
    each_whole_service(|world| {
        let (one, two) = (world.name("one"), world.name("two"));
        let project = world.session("admin").project;
        let made = admin(world, ["namespace", "create", &one, "-f", "json"]);
        let made = made.ok().stderr_is("").json();
        assert_eq!(
            made,
            json!({"created_at": made["created_at"], "namespace": one, "owner": project, "protected": false, "tags": [],
                "updated_at": made["updated_at"], "visibility": "private"})
        );
        let other = world.session("other").project;
        let options = ["--display-name", "Two", "--description", "", "--public", "--protected", "--project", "other"];
        let line = ["namespace", "create", &two, "-f", "json"].into_iter().chain(options);
        let made = world.run_as("admin", ["image", "metadef"].into_iter().chain(line)).ok().json();
        assert_eq!((&made["owner"], &made["description"]), (&json!(other), &json!("")));
        assert_eq!((&made["protected"], &made["visibility"]), (&json!(true), &json!("public")));

        let list = world.run(["image", "metadef", "namespace", "list", "--visibility", "public", "-f", "value"]);
        assert!(list.ok().stdout().lines().any(|line| line == two) && !list.stdout().contains(&one));
        admin(world, ["namespace", "list", "--visibility", "nosuch"]).code(1).stdout_is("").stderr_has("nosuch");

        let again = admin(world, ["namespace", "create", &one]);
        again.code(1).stdout_is("").stderr_has(&format!("namespace={one} already exists (HTTP 409 conflict)"));
        world.run(["image", "metadef", "namespace", "create", "mine"]).code(1).stdout_is("").stderr_has(
            "hint: metadata definitions are changed by administrators, unless the policy of the cloud says otherwise\n",
        );
        admin(world, ["namespace", "create", &one, "--public", "--private"]).code(2);

        // The protected one stays, the missing one is named, the rest goes.
        let delete = admin(world, ["namespace", "delete", &two, "no-such", &one]);
        delete.code(1).stdout_is("").stderr_has(&format!("error: cannot delete the namespace `{two}`: "));
        delete.stderr_has("error: cannot delete the namespace `no-such`: there is no namespace `no-such`\n");
        delete.stderr_has("error: could not delete 2 of 3 namespaces\n");
        admin(world, ["namespace", "show", &one])
            .code(1)
            .stdout_is("")
            .stderr_is(&format!("error: there is no namespace `{one}`\nhint: `rimg image metadef namespace list` shows those that you can see\n"));
        admin(world, ["namespace", "set", &two, "--unprotected"]).ok();
        admin(world, ["namespace", "delete", &two]).ok().stdout_is("").stderr_is("");
    });
}

#[test]
fn a_namespace_is_shown_as_openstack_does_and_with_more_on_demand() {
    each_whole_service(|world| {
        let ns = given_namespace(world, &json!({}));
        let mut shown = world.run(["image", "metadef", "namespace", "show", &ns, "-f", "json"]).ok().json();
        let keys = "created_at description display_name namespace owner protected resource_type_associations tags \
                    updated_at visibility";
        let mine: Vec<&str> = shown.as_object().unwrap().keys().map(String::as_str).collect();
        assert_eq!(mine.join(" "), keys);
        assert_eq!(shown["tags"], json!([{"name": "red"}]));
        let associations = shown["resource_type_associations"].as_array_mut().unwrap();
        associations.sort_by_key(Value::to_string);
        assert_eq!(shown["resource_type_associations"], json!(["OS::Glance::Image", "OS::Nova::Flavor"]));

        let more = |option: &[&str]| {
            let line =
                ["image", "metadef", "namespace", "show", &ns, "-f", "json", "-c", "objects", "-c", "properties"];
            world.run(line.iter().chain(option)).ok().json()
        };
        assert_eq!(texts(&more(&["--long"])["objects"]), ["other", "thing"]);
        assert_eq!(texts(&more(&["--long"])["properties"]), ["list", "one"]);
        let prefixed = more(&["--resource-type", "OS::Glance::Image"]);
        assert_eq!(texts(&prefixed["properties"]), ["hw_list", "hw_one"]);

        let list = ["namespace", "list", "--resource-types", "OS::Nova::Flavor", "-f", "value"];
        assert!(admin(world, list).ok().stdout().lines().any(|line| line == ns));
    });
}

#[test]
fn setting_a_namespace_loses_nothing() {
    each_whole_service(|world| {
        let ns = given_namespace(world, &json!({"protected": true, "owner": world.session("demo").project}));
        let before = said(world, &ns);
        let as_before = |changes: &Value| {
            let mut now = said(world, changes.get("namespace").map_or(&ns, |name| name.as_str().unwrap()));
            let mut expected = before.clone();
            expected.as_object_mut().unwrap().extend(changes.as_object().unwrap().clone());
            for each in [&mut now, &mut expected] {
                let text = each.to_string().replace(&before["updated_at"].to_string(), "\"\"");
                *each = serde_json::from_str(&text).unwrap();
                let fields = each.as_object_mut().unwrap();
                for own in ["updated_at", "self", "schema", "created_at", "tags", "objects"] {
                    fields.remove(own);
                }
            }
            assert_eq!(now, expected);
        };
        admin(world, ["namespace", "set", &ns]).ok().stdout_is("").stderr_is("");
        as_before(&json!({}));
        admin(world, ["namespace", "set", &ns, "--tag", "blue", "--tag", "green"]).ok().stdout_is("").stderr_is("");
        as_before(&json!({}));
        assert_eq!(names(&said(world, &ns)["tags"]), ["blue", "green", "red"]);
        admin(world, ["namespace", "set", &ns, "--description", "new", "--private"]).ok();
        as_before(&json!({"description": "new", "visibility": "private"}));
        let new = world.name("new");
        admin(world, ["namespace", "set", &ns, "--name", &new, "--project", "other", "--unprotected", "--tag", "tan"])
            .ok();
        let other = world.session("other").project;
        as_before(&json!({"namespace": new, "owner": other, "protected": false, "description": "new",
            "visibility": "private"}));
        assert_eq!(names(&said(world, &new)["tags"]), ["blue", "green", "red", "tan"]);
        assert_eq!(names(&said(world, &new)["objects"]), ["other", "thing"]);

        admin(world, ["namespace", "set", &ns, "--public"])
            .code(1)
            .stderr_has(&format!("there is no namespace `{ns}`"));
        world.run_as("other", ["image", "metadef", "namespace", "set", &new, "--public"]).code(1).stderr_has("hint: ");
    });
}

#[test]
fn tags_of_a_namespace_are_set_and_unset() {
    each_whole_service(|world| {
        let ns = given_namespace(world, &json!({}));
        let tags = || names(&said(world, &ns)["tags"]).join(" ");
        let twice = admin(world, ["namespace", "set", &ns, "--tag", "red", "--tag", "blue"]);
        twice.code(1).stdout_is("").stderr_has("error: cannot set the tag `red`: ");
        twice.stderr_has("error: could not set 1 of 2 tags\n");
        assert_eq!(tags(), "blue red");
        let unset = admin(world, ["namespace", "unset", &ns, "--tag", "red", "--tag", "nosuch"]);
        unset
            .code(1)
            .stdout_is("")
            .stderr_has("cannot unset the tag `nosuch`: there is no tag `nosuch` in the namespace");
        unset.stderr_has("error: could not unset 1 of 2 tags\n");
        assert_eq!(tags(), "blue");
        admin(world, ["namespace", "set", &ns, "--no-tag", "--tag", "tan", "--tag", "a b/c"]).ok().stderr_is("");
        assert_eq!(tags(), "a b/c tan");
        admin(world, ["namespace", "unset", &ns, "--all-tags"]).ok();
        assert_eq!(tags(), "");
        admin(world, ["tag", "create", &ns, "one"]).ok();
        admin(world, ["namespace", "set", &ns, "--no-tag"]).ok();
        assert_eq!(tags(), "");
        admin(world, ["namespace", "unset", &ns]).code(2).stdout_is("");
        admin(world, ["namespace", "unset", &ns, "--all-tags", "--tag", "x"]).code(2).stdout_is("");
        admin(world, ["namespace", "unset", "no-such", "--all-tags"]).code(1).stderr_has("`no-such`");
    });
}

#[test]
fn tags_are_created_listed_shown_renamed_and_deleted() {
    each_whole_service(|world| {
        let ns = given_namespace(world, &json!({}));
        admin(world, ["tag", "create", &ns, "blue", "green"]).ok().stdout_is("").stderr_is("");
        let list = world.run(["image", "metadef", "tag", "list", &ns, "-f", "json"]).ok().json();
        assert_eq!(names(&list), ["blue", "green", "red"]);
        // One step: the one that is there keeps the other from coming.
        admin(world, ["tag", "create", &ns, "new", "red"]).code(1).stdout_is("").stderr_has("409");
        assert_eq!(names(&said(world, &ns)["tags"]), ["blue", "green", "red"]);
        admin(world, ["tag", "set", &ns, "red", "--name", "crimson"]).ok().stdout_is("").stderr_is("");
        let shown = world.run(["image", "metadef", "tag", "show", &ns, "crimson", "-f", "json"]).ok().json();
        assert_eq!(shown["name"], "crimson");
        assert!(shown["created_at"].is_string() && shown["updated_at"].is_string(), "{shown}");
        admin(world, ["tag", "set", &ns, "red", "--name", "x"]).code(1).stderr_has("there is no tag `red`");
        admin(world, ["tag", "set", &ns, "blue", "--name", "green"]).code(1).stderr_has("409");
        let deleted = admin(world, ["tag", "delete", &ns, "blue", "nosuch", "green"]);
        deleted.code(1).stdout_is("").stderr_has("error: could not delete 1 of 3 tags\n");
        assert_eq!(names(&said(world, &ns)["tags"]), ["crimson"]);
        world.run(["image", "metadef", "tag", "create", &ns, "mine"]).code(1).stdout_is("").stderr_has("403");
        admin(world, ["tag", "create", "no-such", "x"]).code(1).stderr_has("there is no namespace `no-such`");
    });
}

#[test]
fn a_whole_namespace_is_imported() {
    each_whole_service(|world| {
        let given = given_namespace(world, &json!({}));
        let copy = world.name("copy");
        // What the service showed, under another name.
        let mut document = said(world, &given);
        document["namespace"] = json!(copy);
        let file = world.file("ns.json", document.to_string());
        let import = ["namespace", "import", "--file", file.to_str().unwrap(), "-f", "json"];
        let made = admin(world, import).ok().stderr_is("").json();
        assert_eq!(texts(&made["objects"]), ["other", "thing"]);
        assert_eq!(texts(&made["properties"]), ["list", "one"]);
        let (one, other) = (said(world, &given), said(world, &copy));
        for same in ["properties", "tags", "description", "visibility", "owner"] {
            assert_eq!(one[same], other[same]);
        }
        let of = |namespace: &Value| {
            let objects = namespace["objects"].as_array().unwrap();
            objects.iter().find(|object| object["name"] == "thing").unwrap()["properties"].clone()
        };
        assert_eq!(of(&one), of(&other));
        admin(world, import).code(1).stdout_is("").stderr_has("409");

        let third = world.name("third");
        let run = world.rimg(["image", "metadef", "namespace", "import", "-f", "value", "-c", "namespace"]);
        let run = run.env("OS_CLOUD", "devstack-admin");
        let text = format!("{{\"namespace\": \"{third}\"}}");
        run.stdin(Stdin::Bytes(text.into_bytes())).run().ok().stdout_is(&format!("{third}\n"));

        let bad = world.file("bad.json", "{\n  \"namespace\": \"x\",\n  secret\n}");
        let said = format!("error: `{}` is not JSON: key must be a string at line 3 column 3\n", bad.display());
        admin(world, ["namespace", "import", "--file", bad.to_str().unwrap()]).code(1).stdout_is("").stderr_is(&said);
        admin(world, ["namespace", "import", "--file", "none"]).code(1).stderr_has("cannot read `none`: no such file");
        admin(world, ["namespace", "import"]).code(1).stderr_has("`stdin` is not JSON: EOF");
        let wrong = world.file("wrong.json", "{\"namespace\": 5}");
        admin(world, ["namespace", "import", "--file", wrong.to_str().unwrap()]).code(1).stderr_has("400");
        world.run(["image", "metadef", "namespace", "import", "--file", wrong.to_str().unwrap()]).code(1).stdout_is("");
    });
}

#[test]
fn objects_are_created_shown_and_deleted() {
    each_whole_service(|world| {
        let ns = given_namespace(world, &json!({"objects": []}));
        let bare = admin(world, ["object", "create", "--namespace", &ns, "bare", "-f", "json"]);
        let bare = bare.ok().stderr_is("").json();
        assert_eq!(
            bare,
            json!({"created_at": bare["created_at"], "description": null, "name": "bare", "namespace_name": ns,
                "properties": null, "required": null, "updated_at": bare["updated_at"]})
        );
        let schema = r#"{"description": "won", "properties": {"q": {"title": "Q", "type": "string", "maxLength": 4}}}"#;
        let full =
            ["object", "create", "--namespace", &ns, "full", "--description", "lost", "--required", "q", "--schema"];
        let line = ["image", "metadef"].into_iter().chain(full).chain([schema, "-f", "json"]);
        let full = world.run_as("admin", line).ok().json();
        assert_eq!((&full["description"], &full["required"]), (&json!("won"), &json!(["q"])));
        assert_eq!(full["properties"]["q"]["maxLength"], 4);
        let shown = world.run(["image", "metadef", "object", "show", &ns, "full", "-f", "json"]).ok().json();
        assert_eq!(shown, full);
        let property = ["image", "metadef", "object", "property", "show", &ns, "full"];
        let property = |name: &str| world.run(property.iter().chain(&[name, "-f", "json"]));
        assert_eq!(property("q").ok().json(), json!({"maxLength": 4, "name": "q", "title": "Q", "type": "string"}));
        property("z").code(1).stdout_is("").stderr_has("error: the object `full` has no property `z`\nhint: ");
        let list = world.run(["image", "metadef", "object", "list", &ns, "-f", "json"]).ok().json();
        assert_eq!(list, json!([{"name": "bare", "description": null}, {"name": "full", "description": "won"}]));

        admin(world, ["object", "create", "bare"]).code(2).stdout_is("").stderr_has("--namespace");
        admin(world, ["object", "create", "--namespace", &ns, "bare"]).code(1).stdout_is("").stderr_has("409");
        admin(world, ["object", "create", "--namespace", "no-such", "x"]).code(1).stderr_has("`no-such`");
        admin(world, ["object", "create", "--namespace", &ns, "x", "--schema", "{'a'}"])
            .code(1)
            .stdout_is("")
            .stderr_is("error: `--schema` is not JSON: key must be a string at line 1 column 2\n");
        world.run(["image", "metadef", "object", "create", "--namespace", &ns, "x"]).code(1).stderr_has("403");
        admin(world, ["object", "show", &ns, "x"]).code(1).stderr_has(&format!(
            "error: there is no object `x` in the namespace `{ns}`\nhint: `rimg image metadef object list {ns}` shows"
        ));

        let gone = admin(world, ["object", "delete", &ns, "x", "bare"]);
        gone.code(1).stdout_is("").stderr_has("error: could not delete 1 of 2 objects\n");
        admin(world, ["object", "create", "--namespace", &ns, "third"]).ok();
        admin(world, ["object", "delete", &ns])
            .ok()
            .stdout_is("")
            .stderr_is(&format!("warning: no object was named: all objects of `{ns}` were deleted, 2 in number\n"));
        assert_eq!(said(world, &format!("{ns}/objects"))["objects"], json!([]));
    });
}

#[test]
fn updating_an_object_loses_nothing() {
    each_whole_service(|world| {
        let ns = given_namespace(world, &json!({}));
        let content = |name: &str| {
            let mut object = said(world, &format!("{ns}/objects/{name}"));
            for own in ["created_at", "updated_at", "self", "schema"] {
                object.as_object_mut().unwrap().remove(own);
            }
            object
        };
        let mut expected = content("thing");
        admin(world, ["object", "update", &ns, "thing"]).ok().stdout_is("").stderr_is("");
        assert_eq!(content("thing"), expected);
        admin(world, ["object", "update", &ns, "thing", "--name", "new"]).ok().stdout_is("").stderr_is("");
        expected["name"] = json!("new");
        assert_eq!(content("new"), expected);
        admin(world, ["object", "update", &ns, "new", "--description", "changed"]).ok();
        expected["description"] = json!("changed");
        assert_eq!(content("new"), expected);
        admin(world, ["object", "update", &ns, "new", "--schema", r#"{"required": []}"#]).ok();
        expected["required"] = json!([]);
        assert_eq!(content("new"), expected);
        admin(world, ["object", "update", &ns, "thing", "--name", "x"])
            .code(1)
            .stderr_has("there is no object `thing`");
        // Glance means to answer 409 and answers 500.
        admin(world, ["object", "update", &ns, "new", "--name", "other"]).code(1).stdout_is("");
        world.run(["image", "metadef", "object", "update", &ns, "new", "--name", "x"]).code(1).stderr_has("403");
    });
}

#[test]
fn properties_are_created_shown_and_deleted() {
    each_whole_service(|world| {
        let ns = given_namespace(world, &json!({"properties": {}}));
        let create = |name: &str, schema: &str| {
            admin(
                world,
                [
                    "property", "create", &ns, "--name", name, "--title", "T", "--type", "string", "--schema", schema,
                    "-f", "json",
                ],
            )
        };
        let made = create("p", r#"{"maxLength": 4, "readonly": true, "enum": ["a"]}"#).ok().stderr_is("").json();
        let full =
            json!({"enum": ["a"], "maxLength": 4, "name": "p", "readonly": true, "title": "T", "type": "string"});
        assert_eq!(made, full);
        assert_eq!(world.run(["image", "metadef", "property", "show", &ns, "p", "-f", "json"]).ok().json(), full);
        create("q", "{}").ok();
        let list = world.run(["image", "metadef", "property", "list", &ns, "-f", "csv"]);
        list.ok().stdout_is("\"name\",\"title\",\"type\"\n\"p\",\"T\",\"string\"\n\"q\",\"T\",\"string\"\n");

        create("p", "{}").code(1).stdout_is("").stderr_has("409");
        create("r", "nojson").code(1).stderr_is("error: `--schema` is not JSON: expected ident at line 1 column 2\n");
        create("r", "[]").code(1).stderr_has("error: `--schema` is no JSON object\nhint: ");
        create("r", r#"{"nosuch": 1}"#).code(1).stdout_is("").stderr_has("400");
        admin(world, ["property", "create", &ns, "--name", "r"]).code(2).stderr_has("--title");
        let mine = ["image", "metadef", "property", "create", &ns, "--name", "r", "--title", "R", "--type", "string"];
        world.run(mine.iter().chain(&["--schema", "{}"])).code(1).stderr_has("403");
        admin(world, ["property", "show", &ns, "r"]).code(1).stderr_has("there is no property `r`");

        let gone = admin(world, ["property", "delete", &ns, "p", "r"]);
        gone.code(1).stdout_is("").stderr_has("error: could not delete 1 of 2 properties\n");
        create("s", "{}").ok();
        admin(world, ["property", "delete", &ns]).ok().stdout_is("").stderr_is(&format!(
            "warning: no property was named: all properties of `{ns}` were deleted, 2 in number\n"
        ));
        assert_eq!(said(world, &format!("{ns}/properties"))["properties"], json!({}));
    });
}

#[test]
fn setting_a_property_loses_nothing() {
    each_whole_service(|world| {
        let ns = given_namespace(world, &json!({}));
        let mut expected = said(world, &format!("{ns}/properties/list"));
        admin(world, ["property", "set", &ns, "list"]).ok().stdout_is("").stderr_is("");
        assert_eq!(said(world, &format!("{ns}/properties/list")), expected);
        admin(world, ["property", "set", &ns, "list", "--name", "new", "--title", "New"]).ok().stdout_is("");
        expected["name"] = json!("new");
        expected["title"] = json!("New");
        assert_eq!(said(world, &format!("{ns}/properties/new")), expected);
        admin(world, ["property", "set", &ns, "new", "--schema", r#"{"maxItems": 9}"#]).ok();
        expected["maxItems"] = json!(9);
        assert_eq!(said(world, &format!("{ns}/properties/new")), expected);
        admin(world, ["property", "set", &ns, "list", "--title", "x"])
            .code(1)
            .stderr_has("there is no property `list`");
        // Glance means to answer 409 and answers 500.
        admin(world, ["property", "set", &ns, "new", "--name", "one"]).code(1).stdout_is("");
        admin(world, ["property", "set", &ns, "new", "--schema", "{"]).code(1).stderr_has("at line 1 column 1");
        world.run(["image", "metadef", "property", "set", &ns, "new", "--title", "x"]).code(1).stderr_has("403");
    });
}

#[test]
fn namespaces_are_associated_with_types_of_resources() {
    each_whole_service(|world| {
        let ns = given_namespace(world, &json!({"resource_type_associations": [], "protected": true}));
        let of = ["resource", "type", "association"];
        let association = |line: &[&str]| world.run_as("admin", ["image", "metadef"].iter().chain(&of).chain(line));
        let made = association(&["create", &ns, "OS::Glance::Image", "--properties-prefix", "x_", "-f", "json"]);
        let made = made.ok().stderr_is("").json();
        assert_eq!(
            made,
            json!({"created_at": made["created_at"], "id": "OS::Glance::Image", "name": "OS::Glance::Image",
                "prefix": "x_", "properties_target": null, "updated_at": made["updated_at"]})
        );
        association(&["create", &ns, "OS::Cinder::Volume", "--properties-target", "image"]).ok();
        association(&["create", &ns, "OS::Cinder::Volume"]).code(1).stdout_is("").stderr_has("409");
        let list = |options: &[&str]| {
            let line = ["image", "metadef", "resource", "type", "association", "list", &ns, "--sort-column", "Name"];
            world.run(line.iter().chain(options)).ok().stdout()
        };
        assert_eq!(list(&["-f", "value"]), "OS::Cinder::Volume\nOS::Glance::Image\n");
        assert_eq!(
            list(&["--long", "-f", "csv"]),
            "\"Name\",\"Prefix\",\"Properties Target\"\n\"OS::Cinder::Volume\",\"\",\"image\"\n\"OS::Glance::Image\",\"x_\",\"\"\n"
        );
        let types = world.run(["image", "metadef", "resource", "type", "list", "-f", "value"]).ok().stdout();
        assert!(types.lines().any(|line| line == "OS::Cinder::Volume"), "{types}");

        // Protected: refused, and nothing about the namespace changes; with --force it ends protected.
        let refused = association(&["delete", &ns, "OS::Glance::Image"]);
        refused.code(1).stdout_is("").stderr_has("403").stderr_has("could not delete 1 of 1 associations");
        let forced =
            association(&["delete", "--force", &ns, "OS::Glance::Image", "OS::Nova::Server", "OS::Cinder::Volume"]);
        forced.code(1).stdout_is("").stderr_has("cannot delete the association `OS::Nova::Server`: ");
        forced.stderr_has("error: could not delete 1 of 3 associations\n");
        assert_eq!(list(&["-f", "json"]), "[]\n");
        let now = said(world, &ns);
        assert_eq!((&now["protected"], &now["visibility"]), (&json!(true), &json!("public")));
        assert_eq!((&now["display_name"], &now["description"]), (&json!("Full"), &json!("about")));
        world
            .run(["image", "metadef", "resource", "type", "association", "create", &ns, "x"])
            .code(1)
            .stderr_has("403");
        association(&["list", "no-such"]).code(1).stderr_has("there is no namespace `no-such`");
        association(&["delete", "--force", "no-such", "x"]).code(1).stderr_has("there is no namespace `no-such`");
        admin(world, ["namespace", "set", &ns, "--unprotected"]).ok();
        association(&["create", &ns, "OS::Nova::Server"]).ok();
        association(&["delete", &ns, "OS::Nova::Server"]).ok().stdout_is("").stderr_is("");
    });
}

#[test]
fn the_schema_of_a_model_is_shown() {
    each_whole_service(|world| {
        let show = |line: &[&str]| world.run(["image", "schema", "show"].iter().chain(line));
        show(&["metadefs/tag", "-f", "csv"]).ok().stderr_is("").stdout_is(
            "\"Attribute\",\"Description\"\n\"name\",\"\"\n\"created_at\",\"Date and time of tag creation\"\n\
             \"updated_at\",\"Date and time of the last tag modification\"\n",
        );
        let long = show(&["image", "--long", "-f", "json"]).ok().json();
        let status = long.as_array().unwrap().iter().find(|one| one["Attribute"] == "status").unwrap();
        assert_eq!(
            status,
            &json!({"Attribute": "status", "Description": "Status of the image", "Type": "string", "Read Only": true})
        );
        let name = long.as_array().unwrap().iter().find(|one| one["Attribute"] == "name").unwrap();
        assert_eq!((&name["Type"], &name["Read Only"]), (&json!("null or string"), &json!(false)));
        show(&["nosuch"]).code(1).stdout_is("").stderr_has("error: the service has no schema of `nosuch`\nhint: ");
        show(&["../images"]).code(2).stdout_is("").stderr_has("`..`");
    });
}
