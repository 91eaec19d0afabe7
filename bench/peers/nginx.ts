import { spawnSync } from 'node:child_process'
import { chmod, mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { freePort, serverCore, startProcess, type Running } from '../harness/start-process.ts'

export const hasNginx = spawnSync('nginx', ['-v']).error === undefined

/** nginx with one worker serves `body` as a file from the page cache at `/picture`. */
export async function startNginx(folder: string, body: Buffer, contentType: string): Promise<Running> {
  const port = await freePort()
  const home = join(folder, 'nginx')
  await mkdir(join(home, 'www'), { recursive: true })
  await writeFile(join(home, 'www', 'picture'), body)
  const file = join(home, 'nginx.conf')
  await writeFile(file, configuration(home, port, contentType))
  // Workers drop root.
  for (const path of [folder, home, join(home, 'www')]) await chmod(path, 0o755)
  return startProcess({
    command: ['nginx', '-c', file, '-p', home],
    port,
    readyPath: '/picture',
    core: serverCore,
  })
}

function configuration(home: string, port: number, contentType: string): string {
  const temporary = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi']
  return `
daemon off;
user root;
worker_processes 1;
pid ${home}/pid;
error_log ${home}/error.log;
events { worker_connections 1024; }
http {
  access_log off;
  sendfile on;
  tcp_nopush on;
  open_file_cache max=100;
  keepalive_requests 1000000000;
  default_type ${contentType};
  ${temporary.map((name) => `${name}_temp_path ${home}/${name};`).join('\n  ')}
  server {
    listen 127.0.0.1:${port};
    root ${home}/www;
    add_header Cache-Control "public, max-age=3600";
  }
}
`
}
