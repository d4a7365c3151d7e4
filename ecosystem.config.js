// How PM2 runs the service: pm2 start ecosystem.config.js
module.exports = {
  apps: [
    {
      name: "session-manager",
      cwd: __dirname,
      // Built by `cargo build --release`; the variable is for a binary kept elsewhere.
      script: process.env.SESSION_MANAGER_BIN || "target/release/session-manager",
      interpreter: "none",
      // One process owns all profiles: never cluster mode.
      exec_mode: "fork",
      instances: 1,
      // PM2 would signal every Chrome too; the service closes them in order, so that their profiles are written.
      treekill: false,
      // Above the service's own stop budget of 9.5 s.
      kill_timeout: 12000,
      // 64: the settings are wrong. Starting again would not mend them.
      stop_exit_codes: [64],
      // A crash loop neither burns the machine nor is given up. (PM2 7.0.4 calls every service with a delay that has ended
      // "waiting restart", also one that it has given up by the line above: its pid is then 0.)
      restart_delay: 2000,
      // Settings are read from the file .env in this folder.
    },
  ],
};
