//! pgbouncer.ini for several PgBouncers behind one port: the kernel deals out connections (`so_reuseport`),
//! and a cancellation that comes to the wrong process is passed on (`[peers]`).

/// Where the socket of process `id` lies. The first keeps its place, for `docker exec … psql -h /tmp`.
pub fn socket_folder(id: u32) -> String {
    if id == 1 { "/tmp".to_owned() } else { format!("/tmp/{id}") }
}

/// The settings of process `id` of `of`. All together open as many connections as the one before.
pub fn several(ini: &str, id: u32, of: u32) -> String {
    let peers = (1..=of).map(|peer| format!("{peer} = host={}\n", socket_folder(peer))).collect::<String>();
    let lines = ini.lines().map(|line| {
        let (key, value) = line.split_once(" = ").unwrap_or((line, ""));
        match (key, value.parse::<u32>()) {
            ("unix_socket_dir", _) => {
                format!("unix_socket_dir = {}\nso_reuseport = 1\npeer_id = {id}", socket_folder(id))
            }
            ("max_db_connections" | "default_pool_size" | "reserve_pool_size" | "max_client_conn", Ok(number)) => {
                format!("{key} = {}", (number / of).max(1))
            }
            _ => line.to_owned(),
        }
    });
    format!("[peers]\n{peers}\n{}\n", lines.collect::<Vec<_>>().join("\n"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_process_has_its_socket_its_share_and_knows_the_others() {
        let path =
            concat!(env!("CARGO_MANIFEST_DIR"), "/../fixtures/clusters/three-nodes/node1/pgbouncer/pgbouncer.ini");
        let ini = std::fs::read_to_string(path).expect("a generated file");
        let second = several(&ini, 2, 2);
        let first_lines = "[peers]\n1 = host=/tmp\n2 = host=/tmp/2\n";
        assert!(second.starts_with(first_lines), "{second}");
        assert!(second.contains("\nunix_socket_dir = /tmp/2\nso_reuseport = 1\npeer_id = 2\n"), "{second}");
        assert!(second.contains("\nmax_db_connections = 15\n") && ini.contains("\nmax_db_connections = 30\n"));
        assert!(second.contains("\ndefault_pool_size = 10\n") && second.contains("\nserver_login_retry = "));
        assert!(several(&ini, 1, 2).contains("\nunix_socket_dir = /tmp\nso_reuseport = 1\npeer_id = 1\n"));
    }
}
